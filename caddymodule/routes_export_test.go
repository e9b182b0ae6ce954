package caddymodule

// Calls are all calls of the API, such as "GET api/events/*".
func Calls() []string {
	var calls []string
	for i := range routes {
		if !routes[i].ofAPI() {
			continue
		}
		for _, e := range routes[i].endpoints {
			calls = append(calls, e.method+" "+routes[i].path)
		}
	}
	return calls
}
