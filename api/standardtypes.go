package api

import "github.com/go-json-experiment/json/jsontext"

// standardType is an event type of the default configuration.
type standardType struct {
	name        string
	description string
	example     string // data of a test event; its ids can be nobody's
}

var standardTypes = []standardType{
	{
		"alert_active", "A new alert is raised on a device.",
		`{"alert_id":"example-alert","name":"Disk almost full","severity":"warning","device_id":"example-device"}`,
	},
	{
		"alert_resolved", "An existing alert is resolved.",
		`{"alert_id":"example-alert","name":"Disk almost full","severity":"warning","device_id":"example-device"}`,
	},
	{
		"device_created", "A new device is added.",
		`{"device_id":"example-device","hostname":"example-host","group_id":"example-group"}`,
	},
	{
		"device_deleted", "A device is removed.",
		`{"device_id":"example-device","hostname":"example-host","group_id":"example-group"}`,
	},
	{
		"device_updated", "An existing device's data or configuration changes.",
		`{"device_id":"example-device","hostname":"example-host","group_id":"example-group"}`,
	},
	{
		"group_created", "A new device group is created.",
		`{"group_id":"example-group","name":"Example group"}`,
	},
	{
		"group_deleted", "A device group is permanently deleted.",
		`{"group_id":"example-group","name":"Example group"}`,
	},
	{
		"group_updated", "A group's name or configuration is changed.",
		`{"group_id":"example-group","name":"Example group"}`,
	},
}

// standardOrPlain is the type with a name as it is without being declared.
func standardOrPlain(name string) *eventType {
	for i := range standardTypes {
		if s := &standardTypes[i]; s.name == name {
			return &eventType{Name: name, Description: s.description, Example: jsontext.Value(s.example)}
		}
	}
	return &eventType{Name: name}
}
