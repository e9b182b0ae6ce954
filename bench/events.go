package main

import (
	"strconv"
)

const (
	// Events have numbers of eight digits, which tell which of them have arrived.
	firstNumber = 10_000_000
	mostNumbers = 1 << 23

	eventType = "alert_active"

	// The rest of the data is what a device might report. With the envelope an event has
	// some 500 bytes.
	dataBegin = `{"n":`
	dataEnd   = `,"device":{"id":"dev_1042","hostname":"nas-7","site":"Berlin, 3rd floor","tags":["storage","nas","backup"]},` +
		`"metric":"disk_used_percent","value":93.47,"threshold":90,"severity":"warning","acknowledged":false,` +
		`"message":"Volume \"data\" of nas-7 is nearly full: 93.47 % of 16 TB are used, and at the pace of the last seven days ` +
		`there is no room from Tuesday on. Remove what is old, or add a disk."}`
)

// appendEvent appends an event as it is emitted.
func appendEvent(b []byte, number int, eventType string) []byte {
	b = append(b, `{"event_type":"`...)
	b = append(b, eventType...)
	b = append(b, `","data":`...)
	return append(appendData(b, number), '}')
}

// appendEvents appends n events as they are emitted: as an array unless n is 1.
func appendEvents(b []byte, first, n int, eventType string) []byte {
	if n == 1 {
		return appendEvent(b, first, eventType)
	}
	for i := range n {
		b = appendEvent(append(b, arraySeparator(i)), first+i, eventType)
	}
	return append(b, ']')
}

// arraySeparator is what precedes the i-th element of an array.
func arraySeparator(i int) byte {
	if i == 0 {
		return '['
	}
	return ','
}

// appendDelivered appends an event as an endpoint receives it.
func appendDelivered(b []byte, number int) []byte {
	b = append(b, `{"event_type":"`+eventType+`","event_id":"0199f1a2-7c3d-7e4f-8a5b-6c7d8e9fa0b1",`+
		`"occurred_at":"2026-03-01T09:30:00.123Z","data":`...)
	return append(appendData(b, number), '}')
}

func appendData(b []byte, number int) []byte {
	b = append(b, dataBegin...)
	b = strconv.AppendInt(b, int64(number), 10)
	return append(b, dataEnd...)
}
