package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
	"github.com/caddy-webhooks/caddy-webhooks/delivery/sender"
)

const openapiDescription = "Accepts events and delivers them to webhooks. Times are RFC 3339 in UTC, ids are UUIDs. " +
	"Errors are RFC 9457 problems. Besides the holders of tokens, users whom the site itself has authenticated may be admins."

// operationDoc is what the OpenAPI document says of an operation beyond what its route
// does.
type operationDoc struct {
	id, summary string
	description string         // after who may call
	input       string         // the schema of the body, if it takes one
	status      int            // of success
	output      string         // the schema of the response, "" for none
	whole       bool           // whether a list without a limit is the whole one
	stream      bool           // whether the response is a stream of events, and no JSON
	location    bool           // whether the response has one
	also        map[int]string // other statuses of success, and the schemas of their responses
	refusals    []int          // beside those that all of its kind have
	// parameters has what query parameters mean here, in place of the usual.
	parameters map[string]string
	// values has the schemas of those that take other values here.
	values map[string]*jsonschema.Schema
}

// operationDocs has each operation by method and path of its route.
var operationDocs = map[string]operationDoc{
	"POST api/events": {
		id: "emitEvents", summary: "Emit one event, or up to 1,000",
		description: "\n\nThe response comes once every event is durably stored with its deliveries: a receipt for an object, and for an array " +
			"an array of receipts in the same order. An array is accepted as a whole or not at all. An event whose event_id is known already is a duplicate: nothing new is sent.",
		input: "Emit", status: http.StatusAccepted, output: "Receipts",
	},
	"GET api/events": {
		id: "listEvents", summary: "List events, the newest received first",
		description: " Those that no webhook wanted are included, and so are tests. A page may be short or empty, and have a next_cursor that goes on.",
		status:      http.StatusOK, output: "EventList",
		parameters: map[string]string{
			"event_type": "Only events of this type, which may be one that is no longer configured.",
			"since":      "Only events that were received at this time or later.",
			"until":      "Only events that were received before this time.",
			"limit":      "How many events a page may have.",
		},
	},
	"GET api/events/*": {id: "getEvent", summary: "Read an event and its deliveries", status: http.StatusOK, output: "Event"},
	"DELETE api/events/*": {
		id: "eraseEvent", summary: "Erase what an event and its requests carried",
		description: " Its data, its pending deliveries, and the bodies of its requests are gone for good. The event stays, with data that is null, and so do the rows of its requests, with empty bodies; they cannot be run again. " +
			"Its event_id stays taken until the retention ends. A request that is in flight ends, and has no body then. After an error, repeat it.",
		status: http.StatusNoContent,
	},
	"GET api/event-types": {id: "listEventTypes", summary: "List the types that events may have", description: " The list is empty if any name is accepted.", status: http.StatusOK, output: "EventTypeList"},
	"GET api/webhooks": {
		id: "listWebhooks", summary: "List the webhooks, oldest first unless there is a sort",
		description: " All of them, unless there is a limit or a cursor, or they are sorted by url: then a page, of 50 without a limit, with its next_cursor. " +
			"With q, a page may be short or empty, and have a next_cursor that goes on.",
		whole: true, status: http.StatusOK, output: "WebhookList",
		parameters: map[string]string{
			"q":      "Only webhooks with this text in their URL, description or id, whether in capitals or not.",
			"cursor": "The next_cursor of the previous page, which had the same sort.",
		},
	},
	"POST api/webhooks": {
		id: "createWebhook", summary: "Create a webhook",
		description: fmt.Sprintf(" Refused with 409 once there are %d.", delivery.MaxWebhooks),
		input:       "NewWebhook", status: http.StatusCreated, output: "Webhook", location: true, refusals: []int{http.StatusConflict},
	},
	"GET api/webhooks/*": {id: "getWebhook", summary: "Read a webhook", status: http.StatusOK, output: "Webhook"},
	"PATCH api/webhooks/*": {
		id: "changeWebhook", summary: "Change members of a webhook", description: " The body is a merge patch (RFC 7396); what it leaves out stays as it is." + ofConfiguration,
		input: "WebhookPatch", status: http.StatusOK, output: "Webhook", refusals: []int{http.StatusConflict},
	},
	"DELETE api/webhooks/*": {id: "deleteWebhook", summary: "Delete a webhook, its pending deliveries and its requests", description: ofConfiguration, status: http.StatusNoContent, refusals: []int{http.StatusConflict}},
	"POST api/webhooks/*/test": {
		id: "testWebhook", summary: "Send a test event to a webhook now", description: " Refused with 409 if the webhook is disabled, and with 422 if it wants none of the configured event types.",
		input: "Test", status: http.StatusOK, output: "Request", refusals: []int{http.StatusConflict},
	},
	"POST api/webhooks/*/rotate-secret": {
		id: "rotateSecret", summary: "Give a webhook another secret, with a time in which both sign",
		description: " Until the grace ends, webhook-signature has both signatures, the signature header the new one, and the one with -Previous behind its name the old one. " +
			"A second rotation keeps only the secret just before it. With the secret that the webhook has already, only the end of the grace changes." + ofConfiguration,
		input: "SecretRotation", status: http.StatusOK, output: "RotatedWebhook", refusals: []int{http.StatusConflict},
	},
	"POST api/expressions": {
		id: "tryExpression", summary: "Evaluate an expression of a webhook for an event",
		description: " The body has one expression, and a stored event's id or an event. Nothing is stored or sent. Refused with 422 if the expression is wrong or cannot be evaluated; the error says where.",
		input:       "Expression", status: http.StatusOK, output: "ExpressionResult", refusals: []int{http.StatusNotFound},
	},
	"GET api/requests": {
		id: "listRequests", summary: "List requests, newest first",
		description: fmt.Sprintf("\n\nRequests with a status_code, trigger, url or q are looked for among all others, up to %d for a page: it may be short or empty, and have a next_cursor that goes on.", delivery.MaxLook),
		status:      http.StatusOK, output: "RequestList",
	},
	"GET api/requests/stream": {
		id: "followRequests", summary: "Follow the log: each request as it ends",
		description: " A stream for an EventSource. The first event is `start`; each request is an event without a name, whose data is a RequestRow and whose id is its " +
			"place in the log. A client that gives the id of the last event first gets what it has missed since. An event `reset` says that this is not possible, because the place is no longer known or " +
			"the client is too slow: requests may be missing before it. The stream ends whenever the server's configuration changes; the client then reconnects.",
		status: http.StatusOK, output: "RequestStream", stream: true,
	},
	"GET api/requests/*": {id: "getRequest", summary: "Read a request with its bodies", status: http.StatusOK, output: "Request"},
	"POST api/requests/*/rerun": {
		id: "rerunRequest", summary: "Send the payload of a request again now",
		description: " Refused with 409 if the webhook is disabled, or the event is no longer kept.",
		input:       "Rerun", status: http.StatusOK, output: "Request", refusals: []int{http.StatusConflict},
	},
	"DELETE api/events/*/deliveries/*": {
		id: "cancelDelivery", summary: "Cancel a pending delivery of an event to a webhook",
		description: " It has failed then: a request that was not sent stands for its next attempt, with an error that says so. Refused with 409 if it is not pending, or a request of it is in flight.",
		status:      http.StatusNoContent, refusals: []int{http.StatusConflict},
	},
	"POST api/events/*/deliveries/*/send": {
		id: "sendDelivery", summary: "Attempt a pending delivery now",
		description: " The attempt is made as soon as there is room for it, in place of the next one. Refused with 409 if the delivery is not pending, a request of it is in flight, it waits for others that go before it (order_by), or the webhook is disabled.",
		input:       "Rerun", status: http.StatusNoContent, refusals: []int{http.StatusConflict},
	},
	"GET api/deliveries": {
		id: "listDeliveries", summary: "List deliveries by how they stand",
		description: "\n\nFirst those that have not been attempted, by their webhooks, then the others, those with the newest last request first. " +
			fmt.Sprintf("A call looks through up to %d requests, and reads pending deliveries in steps: a page may be short or empty, and have a next_cursor that goes on.", delivery.MaxLook),
		status: http.StatusOK, output: "DeliveryList",
		parameters: map[string]string{
			"webhook_id": "Only deliveries to this webhook.",
			"event_type": "Only deliveries of events of this type, which may be one that is no longer configured.",
			"status":     "Only deliveries that stand like this. A pending one has not been attempted; one that is retrying has failed, and has attempts left.",
			"since":      "Only deliveries whose last request started at this time or later; if there is none, whose event was received then.",
			"until":      "Only deliveries whose last request started before this time; if there is none, whose event was received then.",
			"limit":      "How many deliveries a page may have.",
		},
		values: map[string]*jsonschema.Schema{"status": enumSchema(deliveryStatuses...)},
	},
	"GET api/stats": {
		id: "getStats", summary: "Count the requests of the last hour, day or week, and what is pending now",
		description: "\n\nRequests are counted by when they started, in slices that begin at multiples of their length in UTC: " +
			"12 of 5 minutes, 24 of an hour, or 28 of 6 hours. The last slice is still in progress. Requests of deleted webhooks stay counted. " +
			"p50_ms and p99_ms are accurate to an eighth, between 128 µs and 18 minutes.",
		status: http.StatusOK, output: "Stats",
	},
	"GET api/stats/webhooks": {
		id: "getWebhookStats", summary: "Read the state of each webhook, oldest first",
		status: http.StatusOK, output: "WebhookStatsList",
	},
	"GET api/audit": {
		id: "listAudit", summary: "List who changed webhooks, tested them, or ran requests again, newest first",
		description: "\n\n404 unless the server's configuration has the option audit. " +
			fmt.Sprintf("At most %d entries and %d MiB are kept, for the retention; the oldest go first.", delivery.MaxAudit, delivery.MaxAuditBytes>>20),
		status: http.StatusOK, output: "AuditList", refusals: []int{http.StatusNotFound},
		parameters: map[string]string{
			"since": "Only what was done at this time or later.", "until": "Only what was done before this time.",
			"limit": "How many entries a page may have.",
		},
	},
	"GET api/health":       {id: "getHealth", summary: "Ask whether events can be accepted now", description: " Only admins and viewers are told why not.", status: http.StatusOK, output: "Health"},
	"GET api/openapi.json": {id: "getOpenAPI", summary: "Read this document", status: http.StatusOK, output: "OpenAPI"},
}

// response is that of a call that went well.
func (d *operationDoc) response() openapiResponse {
	response := openapiResponse{Description: http.StatusText(d.status)}
	if d.output != "" {
		contentType := "application/json"
		if d.stream {
			contentType = "text/event-stream"
		}
		response.Content = map[string]openapiMedia{contentType: {Schema: schemaRef(d.output)}}
	}
	if d.location {
		response.Headers = map[string]openapiHeader{"Location": {
			Description: "Where it is, relative to this path.", Required: true,
			Schema: &jsonschema.Schema{Type: "string", Format: "uri-reference"},
		}}
	}
	return response
}

// queryParameters are those of all operations.
func queryParameters() map[string]openapiParameter {
	limit := &jsonschema.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(float64(maxLimit)), Default: jsonOf(defaultLimit)}
	name := &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(maxEventTypeLength)}
	cursor := &jsonschema.Schema{Type: "string", MinLength: new(1)}
	return map[string]openapiParameter{
		"webhook_id":  {Description: "Only requests to this webhook.", Schema: uuidSchema()},
		"event_id":    {Description: "Only requests of this event.", Schema: uuidSchema()},
		"event_type":  {Description: "Only requests of events of this type, which may be one that is no longer configured.", Schema: name},
		"status":      {Description: "Only requests that ended like this.", Schema: enumSchema(delivery.RequestSuccess, delivery.RequestFailed)},
		"since":       {Description: "Only requests that started at this time or later.", Schema: timeSchema()},
		"until":       {Description: "Only requests that started before this time.", Schema: timeSchema()},
		"webhook_ids": {Description: "Only these webhooks, separated by commas; ids that do not exist are ignored.", Schema: webhookIDsSchema(), Explode: new(false)},
		"period":      {Description: "How far back to count.", Schema: periodSchema()},
		"limit":       {Description: "How many rows a page may have.", Schema: limit},
		"cursor":      {Description: "The next_cursor of the previous page.", Schema: cursor},
		"status_code": {Description: "Only requests to which the endpoint responded with this status code or, as in 4xx, with one of this class.", Schema: &jsonschema.Schema{Type: "string", Pattern: statusCodePattern}},
		"enabled":     {Description: "Only webhooks that are enabled, or that are not.", Schema: &jsonschema.Schema{Type: "boolean"}},
		"sort":        {Description: "The order: by when they were created, the oldest or the newest first, or by URL.", Schema: enumSchema(webhookSorts...)},
		"trigger":     {Description: "Only requests that were sent for this reason.", Schema: enumSchema(triggers...)},
		"url":         {Description: "Only requests to URLs that begin like this.", Schema: &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(sender.MaxURLLength)}},
		"q":           {Description: "Only those with this text in their error, their URL, or the id of the request, its event or its webhook, whether in capitals or not.", Schema: &jsonschema.Schema{Type: "string", MinLength: new(1), MaxLength: new(maxTextLength)}},
		lastEventID:   {Description: "Like the header Last-Event-ID, for clients that cannot set it.", Schema: cursor},
	}
}

var securitySchemes = map[string]openapiSecurityScheme{
	"Bearer": {Type: "http", Scheme: "bearer", Description: "An emit token, a viewer token, which allows to read everything, or an admin token, which allows everything."},
	"Basic":  {Type: "http", Scheme: "basic", Description: "An admin or a viewer token as the password, under any user name."},
}

// securityOf names the schemes with the least roles that are enough.
func securityOf(op *operation) []openapiSecurity {
	switch {
	case op.who == Nobody:
		return nil
	case op.who == Emitter && op.method == http.MethodGet:
		return []openapiSecurity{{"Bearer": {"emitter"}}, {"Bearer": {"viewer"}}, {"Basic": {"viewer"}}}
	case op.who == Emitter:
		return []openapiSecurity{{"Bearer": {"emitter"}}, {"Basic": {"admin"}}}
	case op.method == http.MethodGet:
		return []openapiSecurity{{"Bearer": {"viewer"}}, {"Basic": {"viewer"}}}
	default:
		return []openapiSecurity{{"Bearer": {"admin"}}, {"Basic": {"admin"}}}
	}
}

// whoMay says it for people.
func whoMay(op *operation) string {
	switch {
	case op.who == Nobody:
		return "For anyone."
	case op.who == Emitter && op.method == http.MethodGet:
		return "For emitters, viewers and admins."
	case op.who == Emitter:
		return "For emitters and admins."
	case op.method == http.MethodGet:
		return "For admins and viewers."
	default:
		return "For admins."
	}
}

// problemResponses are the responses that are problems.
func problemResponses() map[string]openapiResponse {
	text := &jsonschema.Schema{Type: "string"}
	wait := map[string]openapiHeader{"Retry-After": {
		Description: "After how many seconds to try again.", Required: true, Schema: &jsonschema.Schema{Type: "integer", Minimum: new(1.0)},
	}}
	accepted := map[string]openapiHeader{
		"Accept":          {Description: "The media types that are accepted, if the body's is not.", Schema: text},
		"Accept-Patch":    {Description: "The same, for PATCH.", Schema: text},
		"Accept-Encoding": {Description: "The encodings that are accepted, if the body's is not.", Schema: text},
	}
	headers := map[int]map[string]openapiHeader{
		http.StatusBadRequest:            nil,
		http.StatusUnauthorized:          {"WWW-Authenticate": {Required: true, Schema: text}},
		http.StatusForbidden:             nil,
		http.StatusNotFound:              nil,
		http.StatusRequestTimeout:        nil,
		http.StatusConflict:              nil,
		http.StatusRequestEntityTooLarge: nil,
		http.StatusUnsupportedMediaType:  accepted,
		http.StatusUnprocessableEntity:   nil,
		http.StatusTooManyRequests:       wait,
		http.StatusServiceUnavailable:    wait,
	}
	responses := make(map[string]openapiResponse, len(headers))
	for status, h := range headers {
		responses[responseName(status)] = openapiResponse{
			Description: http.StatusText(status), Headers: h,
			Content: map[string]openapiMedia{"application/problem+json": {Schema: schemaRef("Problem")}},
		}
	}
	return responses
}

// responseName is the component's, such as BadRequest.
func responseName(status int) string {
	return strings.ReplaceAll(http.StatusText(status), " ", "")
}
