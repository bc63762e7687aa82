package batch

// Chains link the elements of two lists that have the same key: scopes, or the
// metrics of a scope. A scope occurs more than once in a collection if a
// producer of another library has one of the same name, and a stream if several
// instruments have its name.
type chains[K comparable] struct {
	table[K]
	head       []int32 // for each newer element the first newer one with its key
	nextNewer  []int32 // for each newer element the next one with its key, or -1
	home       []int32 // for each older element the first newer one with its key, or -1
	firstOlder []int32 // for the first newer element of a key the first older one, or -1
	nextOlder  []int32 // for each older element the next one with its key, or -1
	alone      int     // how many older elements have a key that no newer one has
}

func (c *chains[K]) link(older, newer int, olderKey, newerKey func(int) K) {
	c.linkNewer(newer, newerKey)
	c.home = resized(c.home, older)
	c.firstOlder = none(c.firstOlder, newer)
	c.nextOlder = none(c.nextOlder, older)
	c.alone = 0
	for i := older - 1; i >= 0; i-- {
		h := c.find(olderKey(i), newerKey)
		c.home[i] = h
		if h < 0 {
			c.alone++
			continue
		}
		c.nextOlder[i], c.firstOlder[h] = c.firstOlder[h], int32(i)
	}
}

func (c *chains[K]) linkNewer(n int, key func(int) K) {
	c.empty(n)
	c.nextNewer = resized(c.nextNewer, n)
	for j := n - 1; j >= 0; j-- {
		s := c.slot(key(j), key)
		c.nextNewer[j] = *s - 1
		*s = int32(j) + 1
	}
	c.head = none(c.head, n)
	for j := range c.head {
		if c.head[j] < 0 {
			for e := int32(j); e >= 0; e = c.nextNewer[e] {
				c.head[e] = int32(j)
			}
		}
	}
}

// older returns the first older element with the key of a newer one, or -1.
func (c *chains[K]) older(newer int) int32 { return c.firstOlder[c.head[newer]] }

// single reports whether one older and one newer element have the key of a newer
// element that is the first one of it.
func (c *chains[K]) single(head int32) bool {
	i := c.firstOlder[head]
	return i >= 0 && c.nextOlder[i] < 0 && c.nextNewer[head] < 0
}

// follow returns the elements of a chain that begins at first.
func follow[E any](list []E, next []int32, first int32) []E {
	var chain []E
	for e := first; e >= 0; e = next[e] {
		chain = append(chain, list[e])
	}
	return chain
}
