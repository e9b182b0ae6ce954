package delivery

import "testing"

// TestWithoutData takes what errors quote of the data out of them.
func TestWithoutData(t *testing.T) {
	for _, c := range []struct{ source, text, want string }{
		{"data.name", "no such key: name", "no such key: name"},
		{"{'a': 1}[data.name]", "no such key: Erika", "no such key"},
		{"int(data.name)", `strconv.ParseInt: parsing "Eri\"ka": invalid syntax`, "strconv.ParseInt: parsing …: invalid syntax"},
		{"'x'.matches(data.name)", "error parsing regexp: missing closing ): `Erika(`", "error parsing regexp: missing closing ): …"},
		{"timestamp(data.name)", `parsing time "Erika" as "2006-01-02T15:04:05Z07:00": cannot parse "Erika" as "2006"`, `parsing time … as …: cannot parse … as …`},
		{"f('x')", "found no matching overload for 'f' applied to '(string)'", "found no matching overload for 'f' applied to '(string)'"},
	} {
		if got := withoutData(c.source, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.source, got, c.want)
		}
	}
}
