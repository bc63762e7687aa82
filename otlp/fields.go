package otlp

// The fields of the messages of OTLP 1.x, from
// https://github.com/open-telemetry/opentelemetry-proto, in the folder
// opentelemetry/proto: metrics/v1/metrics.proto, common/v1/common.proto and
// resource/v1/resource.proto. What both Append and Decode have to know of them
// is here and in fields_common.go; TestSchemasAreThoseOfOTLP compares it with
// the generated code.

const (
	resourceMetricsResource  = 1
	resourceMetricsScopes    = 2
	resourceMetricsSchemaURL = 3
)

var resourceMetricsSchema = schema{
	resourceMetricsResource:  {"resource", message},
	resourceMetricsScopes:    {"scope_metrics", message},
	resourceMetricsSchemaURL: {"schema_url", text},
}

const (
	scopeMetricsScope     = 1
	scopeMetricsMetrics   = 2
	scopeMetricsSchemaURL = 3
)

var scopeMetricsSchema = schema{
	scopeMetricsScope:     {"scope", message},
	scopeMetricsMetrics:   {"metrics", message},
	scopeMetricsSchemaURL: {"schema_url", text},
}

const (
	metricName        = 1
	metricDescription = 2
	metricUnit        = 3
	metricGauge       = 5 // oneof data, up to metricSummary
	metricSum         = 7
	metricHistogram   = 9
	metricExponential = 10
	metricSummary     = 11
)

var metricSchema = schema{
	metricName:        {"name", text},
	metricDescription: {"description", text},
	metricUnit:        {"unit", text},
	metricGauge:       {"gauge", message},
	metricSum:         {"sum", message},
	metricHistogram:   {"histogram", message},
	metricExponential: {"exponential_histogram", message},
	metricSummary:     {"summary", message},
	12:                {"metadata", message}, // nothing in a metricdata.Metrics
}

// The fields of Gauge, Sum, Histogram, ExponentialHistogram and Summary, as far
// as they have them.
const (
	dataPoints      = 1
	dataTemporality = 2
	dataMonotonic   = 3
)

// The values of AggregationTemporality.
const (
	temporalityUnspecified = 0
	temporalityDelta       = 1
	temporalityCumulative  = 2
)

var (
	pointsSchema = schema{ // Gauge, Summary
		dataPoints: {"data_points", message},
	}
	sumSchema = schema{
		dataPoints:      {"data_points", message},
		dataTemporality: {"aggregation_temporality", varint},
		dataMonotonic:   {"is_monotonic", varint},
	}
	histogramSchema = schema{ // Histogram, ExponentialHistogram
		dataPoints:      {"data_points", message},
		dataTemporality: {"aggregation_temporality", varint},
	}
)

// The bits of the flags of a data point.
const flagNoRecordedValue = 1

// What all kinds of data points have in the same place.
const (
	pointStart = 2
	pointTime  = 3
)

const (
	numberDouble     = 4 // oneof value, with numberInt
	numberExemplars  = 5
	numberInt        = 6
	numberAttributes = 7
	numberFlags      = 8
)

var numberSchema = schema{
	pointStart:       {"start_time_unix_nano", fixed64},
	pointTime:        {"time_unix_nano", fixed64},
	numberDouble:     {"as_double", fixed64},
	numberExemplars:  {"exemplars", message},
	numberInt:        {"as_int", fixed64},
	numberAttributes: {"attributes", message},
	numberFlags:      {"flags", varint},
}

const (
	histogramCount      = 4
	histogramSum        = 5
	histogramCounts     = 6
	histogramBounds     = 7
	histogramExemplars  = 8
	histogramAttributes = 9
	histogramFlags      = 10
	histogramMin        = 11
	histogramMax        = 12
)

var histogramPointSchema = schema{
	pointStart:          {"start_time_unix_nano", fixed64},
	pointTime:           {"time_unix_nano", fixed64},
	histogramCount:      {"count", fixed64},
	histogramSum:        {"sum", fixed64},
	histogramCounts:     {"bucket_counts", packedFixed64},
	histogramBounds:     {"explicit_bounds", packedFixed64},
	histogramExemplars:  {"exemplars", message},
	histogramAttributes: {"attributes", message},
	histogramFlags:      {"flags", varint},
	histogramMin:        {"min", fixed64},
	histogramMax:        {"max", fixed64},
}

const (
	exponentialAttributes    = 1
	exponentialCount         = 4
	exponentialSum           = 5
	exponentialScale         = 6
	exponentialZeroCount     = 7
	exponentialPositive      = 8
	exponentialNegative      = 9
	exponentialFlags         = 10
	exponentialExemplars     = 11
	exponentialMin           = 12
	exponentialMax           = 13
	exponentialZeroThreshold = 14
)

var exponentialPointSchema = schema{
	exponentialAttributes:    {"attributes", message},
	pointStart:               {"start_time_unix_nano", fixed64},
	pointTime:                {"time_unix_nano", fixed64},
	exponentialCount:         {"count", fixed64},
	exponentialSum:           {"sum", fixed64},
	exponentialScale:         {"scale", varint}, // zigzag
	exponentialZeroCount:     {"zero_count", fixed64},
	exponentialPositive:      {"positive", message},
	exponentialNegative:      {"negative", message},
	exponentialFlags:         {"flags", varint},
	exponentialExemplars:     {"exemplars", message},
	exponentialMin:           {"min", fixed64},
	exponentialMax:           {"max", fixed64},
	exponentialZeroThreshold: {"zero_threshold", fixed64},
}

const (
	bucketsOffset = 1
	bucketsCounts = 2
)

var bucketsSchema = schema{
	bucketsOffset: {"offset", varint}, // zigzag
	bucketsCounts: {"bucket_counts", packedVarint},
}

const (
	summaryCount      = 4
	summarySum        = 5
	summaryQuantiles  = 6
	summaryAttributes = 7
	summaryFlags      = 8
)

var summaryPointSchema = schema{
	pointStart:        {"start_time_unix_nano", fixed64},
	pointTime:         {"time_unix_nano", fixed64},
	summaryCount:      {"count", fixed64},
	summarySum:        {"sum", fixed64},
	summaryQuantiles:  {"quantile_values", message},
	summaryAttributes: {"attributes", message},
	summaryFlags:      {"flags", varint},
}

const (
	quantileQuantile = 1
	quantileValue    = 2
)

var quantileSchema = schema{
	quantileQuantile: {"quantile", fixed64},
	quantileValue:    {"value", fixed64},
}

const (
	exemplarTime       = 2
	exemplarDouble     = 3 // oneof value, with exemplarInt
	exemplarSpanID     = 4
	exemplarTraceID    = 5
	exemplarInt        = 6
	exemplarAttributes = 7
)

var exemplarSchema = schema{
	exemplarTime:       {"time_unix_nano", fixed64},
	exemplarDouble:     {"as_double", fixed64},
	exemplarSpanID:     {"span_id", blob},
	exemplarTraceID:    {"trace_id", blob},
	exemplarInt:        {"as_int", fixed64},
	exemplarAttributes: {"filtered_attributes", message},
}
