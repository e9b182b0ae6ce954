package caddymodule_test

import (
	"encoding/json"
	"time"
)

type webhook struct {
	ID          string    `json:"id"`
	URL         string    `json:"url"`
	Description string    `json:"description"`
	Enabled     bool      `json:"enabled"`
	EventTypes  []string  `json:"event_types"`
	HasSecret   bool      `json:"has_secret"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`

	Headers   map[string]string `json:"headers"`
	Timeout   *string           `json:"timeout"`
	Metadata  map[string]string `json:"metadata"`
	Retry     any               `json:"retry"`
	Filter    *string           `json:"filter"`
	Transform *string           `json:"transform"`
	OrderBy   *string           `json:"order_by"`

	Concurrency *int `json:"concurrency"`
	RateLimit   any  `json:"rate_limit"`

	DisabledReason *string `json:"disabled_reason"`

	Authorization     map[string]string `json:"authorization"`
	ClientCertificate map[string]string `json:"client_certificate"`

	SecretChangedAt     *time.Time `json:"secret_changed_at"`
	PreviousSecretUntil *time.Time `json:"previous_secret_until"`

	Source string `json:"source"`
}

type receipt struct {
	EventID    string `json:"event_id"`
	Deliveries int    `json:"deliveries"`
	Duplicate  bool   `json:"duplicate"`
}

type request struct {
	ID                string  `json:"id"`
	WebhookID         string  `json:"webhook_id"`
	EventID           string  `json:"event_id"`
	EventType         string  `json:"event_type"`
	OccurredAt        string  `json:"occurred_at"`
	Trigger           string  `json:"trigger"`
	Attempt           *int    `json:"attempt"`
	MaxAttempts       int     `json:"max_attempts"`
	Status            string  `json:"status"`
	StatusCode        *int    `json:"status_code"`
	URL               string  `json:"url"`
	Error             string  `json:"error"`
	ResponseBody      *string `json:"response_body"`
	ResponseTruncated bool    `json:"response_truncated"`
	RequestBody       *string `json:"request_body"`
	StartedAt         string  `json:"started_at"`
	DurationMS        float64 `json:"duration_ms"`
	NextAttemptAt     *string `json:"next_attempt_at"`

	RequestHeaders map[string]string `json:"request_headers"`
}

type requestList struct {
	Data       []request `json:"data"`
	NextCursor *string   `json:"next_cursor"`
}

type event struct {
	EventType  string          `json:"event_type"`
	EventID    string          `json:"event_id"`
	OccurredAt string          `json:"occurred_at"`
	Data       json.RawMessage `json:"data"`
	ReceivedAt string          `json:"received_at"`
	Deliveries []struct {
		WebhookID     string  `json:"webhook_id"`
		URL           string  `json:"url"`
		Status        string  `json:"status"`
		Attempts      int     `json:"attempts"`
		NextAttemptAt *string `json:"next_attempt_at"`
	} `json:"deliveries"`
}
