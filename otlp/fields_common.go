package otlp

// The fields of the messages in common/v1/common.proto and
// resource/v1/resource.proto; see fields.go.

const resourceAttributes = 1

var resourceSchema = schema{
	resourceAttributes: {"attributes", message},
	2:                  {"dropped_attributes_count", varint}, // nothing in a resource.Resource
	3:                  {"entity_refs", message},             // nothing in a resource.Resource
}

const (
	scopeName       = 1
	scopeVersion    = 2
	scopeAttributes = 3
)

var scopeSchema = schema{
	scopeName:       {"name", text},
	scopeVersion:    {"version", text},
	scopeAttributes: {"attributes", message},
	4:               {"dropped_attributes_count", varint}, // nothing in an instrumentation.Scope
}

const (
	keyValueKey   = 1
	keyValueValue = 2
)

var keyValueSchema = schema{
	keyValueKey:   {"key", text},
	keyValueValue: {"value", message},
	3:             {"key_strindex", varint}, // of profiles; to be ignored elsewhere
}

// The fields of AnyValue are all in one oneof.
const (
	anyString   = 1
	anyBool     = 2
	anyInt      = 3
	anyDouble   = 4
	anyArray    = 5
	anyMap      = 6
	anyBytes    = 7
	anyStrindex = 8 // of profiles; to be taken for an empty value elsewhere
)

var anySchema = schema{
	anyString:   {"string_value", text},
	anyBool:     {"bool_value", varint},
	anyInt:      {"int_value", varint},
	anyDouble:   {"double_value", fixed64},
	anyArray:    {"array_value", message},
	anyMap:      {"kvlist_value", message},
	anyBytes:    {"bytes_value", blob},
	anyStrindex: {"string_value_strindex", varint},
}

// listValues is the only field of ArrayValue and KeyValueList.
const listValues = 1

var listSchema = schema{
	listValues: {"values", message},
}
