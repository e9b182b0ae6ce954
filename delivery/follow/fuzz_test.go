package follow

import "testing"

// FuzzPosition has texts that clients send for positions. None is one of a source that seals
// them, and what is one of a source that does not is the same again.
func FuzzPosition(f *testing.F) {
	sealed := newSealer(NewRing(noRows))
	f.Add("acme", "1-2-3")
	f.Add("acme", "18446744073709551615-0")
	f.Add("acme", "01--+2")
	f.Add("other", sealed.seal("acme", Position{1, 2, 3}))
	f.Fuzz(func(t *testing.T, tenant, text string) {
		if p := sealed.open(tenant, text); p != (Position{}) {
			t.Errorf("%q is %v", text, p)
		}
		p := ParsePosition(text)
		if again := ParsePosition(p.String()); again != p {
			t.Errorf("%q is %v, and then %v", text, p, again)
		}
	})
}
