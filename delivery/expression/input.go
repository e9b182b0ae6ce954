package expression

import (
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// Event is what expressions see.
type Event struct {
	Type, ID, Tenant string
	OccurredAt       time.Time
	Data             []byte // a JSON object
}

// Input is an event for expressions. Its data are decoded once, when the first expression asks
// for them. It is not safe for concurrent use.
type Input struct {
	eventType, id, tenant, occurredAt ref.Val
	data                              []byte
	decoded                           any
	err                               error
}

// NewInput makes the input of an event. It decodes nothing yet.
func NewInput(e Event) *Input {
	return &Input{
		eventType: types.String(e.Type), id: types.String(e.ID), tenant: types.String(e.Tenant),
		occurredAt: types.Timestamp{Time: e.OccurredAt.UTC()}, data: e.Data,
	}
}

// object returns the decoded data.
func (in *Input) object() (any, error) {
	if in.decoded == nil && in.err == nil {
		in.decoded, in.err = decodeData(in.data)
	}
	return in.decoded, in.err
}
