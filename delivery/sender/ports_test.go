package sender

import (
	"net/http"
	"strings"
	"testing"
)

func ports(t *testing.T, values ...string) (all []PortRange) {
	t.Helper()
	for _, value := range values {
		r, err := ParsePorts(value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestParsePorts(t *testing.T) {
	for value, want := range map[string]PortRange{
		"443": {443, 443}, "1-65535": {1, 65535}, "8080-8080": {8080, 8080},
	} {
		if got, err := ParsePorts(value); err != nil || got != want {
			t.Errorf("%s: got %v, %v", value, got, err)
		}
	}
	for _, value := range []string{"", "0", "-1", "65536", "443-", "-443", "443-80", "1-2-3", "+443", "https", "4 3", "0x50"} {
		if got, err := ParsePorts(value); err == nil || !strings.Contains(err.Error(), "'"+value+"' is neither a port") {
			t.Errorf("%q: got %v, %v", value, got, err)
		}
	}
}

const portRefused = " is not allowed by the configuration: ask the operator of this server"

func TestCheckURLWithPorts(t *testing.T) {
	d := Destinations{AllowHTTP: true, Ports: ports(t, "443", "8000-8999")}
	for url, refused := range map[string]string{
		"https://example.com/":         "",
		"https://example.com:443/":     "",
		"https://example.com:/":        "",
		"https://example.com:8000/":    "",
		"https://example.com:8999/":    "",
		"https://example.com:08443/":   "",
		"http://example.com:8080/":     "",
		"https://[2606:4700::1]:8443/": "",

		"http://example.com/":       "80",
		"https://example.com:80/":   "80",
		"https://example.com:25/":   "25",
		"https://example.com:7999/": "7999",
		"https://example.com:9000/": "9000",
		"https://8.8.8.8:6379/":     "6379",
		"https://[2606:4700::1]:1/": "1",
	} {
		want := ""
		if refused != "" {
			want = "port " + refused + portRefused
		}
		got := ""
		if err := d.CheckURL(url); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, not %q", url, got, want)
		}
	}
}

// A webhook may be older than the configuration. Neither its host nor a proxy is asked for
// anything.
func TestPortsAreCheckedAtEachConnection(t *testing.T) {
	port, called := countedEndpoint(t)
	resolveAt(t, refusing(t)) // which would fail
	for _, proxied := range []bool{false, true} {
		only := func(value string) *Sender {
			return newSender(t, func(c *Config) {
				c.Destinations.Ports = ports(t, value)
				if proxied {
					c.Destinations.Proxy = newConnectProxy(t, http.StatusOK, nil).url
				}
			})
		}
		for _, host := range []string{"127.0.0.1", "hooks.example"} {
			r := only("443").Send(t.Context(), message("http://"+host+":"+port))
			r.want(t, Response{Failure: "port " + port + portRefused})
		}
		if n := called.Load(); n > 0 {
			t.Errorf("the endpoint was called %d times", n)
		}
	}
	only := newSender(t, func(c *Config) { c.Destinations.Ports = ports(t, port) })
	only.Send(t.Context(), message("http://127.0.0.1:"+port)).want(t, Response{StatusCode: 204})
}
