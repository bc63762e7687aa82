package outcome

// advice says for some statuses what has to be mended.
var advice = map[Status]string{
	{HTTP: 401}: "check the credentials",
	{HTTP: 403}: "check what the credentials allow",
	{HTTP: 404}: "check the address and the path of the endpoint",
	{HTTP: 405}: "check the path of the endpoint",
	{HTTP: 407}: "check the credentials for the proxy",
	{HTTP: 501}: "check whether the endpoint takes metrics",
	{GRPC: 5}:   "check the address of the endpoint",
	{GRPC: 7}:   "check what the credentials allow",
	{GRPC: 12}:  "check whether the endpoint takes OTLP metrics over gRPC",
	{GRPC: 16}:  "check the credentials",
}

// Advice returns what has to be mended before the destination takes anything;
// nothing where that is not known.
func (m Meaning) Advice() string {
	switch {
	case !m.Refused:
		return ""
	case m.Status == Status{}:
		return "the exporter or its client has been shut down by something else"
	default:
		return advice[m.Status]
	}
}
