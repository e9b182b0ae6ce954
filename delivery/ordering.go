package delivery

import (
	"go.uber.org/zap"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/expression"
)

// orderKeys finds the keys of an event's deliveries to webhooks, nil if none has an order.
func (f *filtering) orderKeys(ev *AcceptEvent, webhooks []*subscription) (keys []OrderKey, err error) {
	for i, w := range webhooks {
		if w.orderBy == "" {
			continue
		}
		if keys == nil {
			keys = make([]OrderKey, len(webhooks))
		}
		input, err := f.inputOf(ev)
		if err != nil {
			return nil, err
		}
		text, err := f.orderText(w, input)
		if err != nil {
			return nil, err
		}
		keys[i] = orderKey(text)
	}
	return keys, nil
}

// orderText evaluates an order. What it cannot evaluate has the text "".
func (f *filtering) orderText(w *subscription, input *expression.Input) (string, error) {
	if f.countPrograms(w.orderBy); f.work > maxFilterWork {
		return "", ErrOrdersTooCostly
	}
	program, err := f.expressions.programs.Compile(expression.OrderBy, w.orderBy)
	text, work := "", 0
	if err == nil {
		text, work, err = program.Text(f.ctx, input)
	}
	if f.work += work; f.work > maxFilterWork {
		return "", ErrOrdersTooCostly
	}
	switch {
	case f.ctx.Err() != nil:
		return "", f.ctx.Err() // it is not known
	case err != nil:
		f.observer.OrderFailed()
		f.log().Debug("an order could not be evaluated, so the delivery goes with those whose text is empty",
			zap.String("tenant", f.tenant), zap.Stringer("webhook_id", w.id), zap.Error(err))
		return "", nil
	}
	return text, nil
}
