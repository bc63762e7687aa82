package frame

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhatWasAppendedComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SliceOf(rapid.Byte()).Draw(t, "prefix")
		data := bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "data"), rapid.IntRange(0, 5000).Draw(t, "times"))
		f, err := Append(prefix, data)
		require.NoError(t, err)
		require.True(t, bytes.HasPrefix(f, prefix))
		got, err := Decode(prefix, f[len(prefix):], MaxSize)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got[len(prefix):]))
	})
}

func TestEveryDamagedByteIsNoticed(t *testing.T) {
	f, err := Append(nil, []byte(strings.Repeat("some data ", 20)))
	require.NoError(t, err)
	for i := range f {
		for bit := range 8 {
			damaged := bytes.Clone(f)
			damaged[i] ^= 1 << bit
			_, err := Decode(nil, damaged, MaxSize)
			if i == 0 && damaged[0] > Version {
				require.ErrorIs(t, err, ErrVersion)
			} else {
				require.ErrorIs(t, err, ErrCorrupt)
			}
		}
		_, err := Decode(nil, f[:i], MaxSize)
		require.ErrorIs(t, err, ErrCorrupt)
	}
}

func TestAnythingCanBeDecodedWithoutAPanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dst := []byte("before")
		got, err := Decode(dst, rapid.SliceOf(rapid.Byte()).Draw(t, "frame"), MaxSize)
		require.Error(t, err)
		require.Equal(t, dst, got)
	})
}

// The data is one plain frame of zstd.
func TestOtherToolsCanReadTheData(t *testing.T) {
	f, err := Append(nil, []byte("some data"))
	require.NoError(t, err)
	d, err := zstd.NewReader(bytes.NewReader(f[5:]))
	require.NoError(t, err)
	defer d.Close()
	var got bytes.Buffer
	_, err = d.WriteTo(&got)
	require.NoError(t, err)
	assert.Equal(t, "some data", got.String())
}

func TestItMayBeUsedConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			data := bytes.Repeat([]byte{byte(i)}, 10_000)
			for range 50 {
				f, err := Append(nil, data)
				assert.NoError(t, err)
				got, err := Decode(nil, f, MaxSize)
				assert.NoError(t, err)
				assert.True(t, bytes.Equal(data, got))
			}
		})
	}
	wg.Wait()
}

func TestADataBombIsNotDecoded(t *testing.T) {
	bomb, err := Append(nil, make([]byte, 1<<20))
	require.NoError(t, err)
	require.Less(t, len(bomb), 1<<10)
	for name, f := range map[string][]byte{"one": bomb, "streamed": stream(t, 1<<20), "in parts": parts(t, 1<<17, 8)} {
		_, err = Decode(nil, f, 1<<20-1)
		require.ErrorIs(t, err, ErrTooLarge, name)
		data, err := Decode(nil, f, 1<<20)
		require.NoError(t, err, name)
		require.Len(t, data, 1<<20)
	}
}

// seal puts the header before a body.
func seal(body []byte) []byte {
	f := append([]byte{Version, 0, 0, 0, 0}, body...)
	binary.BigEndian.PutUint32(f[1:], crc32.Checksum(body, castagnoli))
	return f
}

// stream makes a frame that does not say how large its data is.
func stream(t *testing.T, size int) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window))
	require.NoError(t, err)
	_, err = w.Write(make([]byte, size))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return seal(b.Bytes())
}

// parts makes one of several frames of zstd.
func parts(t *testing.T, size, n int) []byte {
	f, err := Append(nil, make([]byte, size))
	require.NoError(t, err)
	return seal(bytes.Repeat(f[headerSize:], n))
}
