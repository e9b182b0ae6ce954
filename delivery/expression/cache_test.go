package expression

import "testing"

func TestCache(t *testing.T) {
	c := Cache{Most: 3 * (programBytes + programPerByte*6)}
	compile := func(source string) *Program {
		p, err := c.Compile(Filter, source)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := compile("1 == 1")
	compile("1 == 2")
	if compile("1 == 1") != first {
		t.Error("it was compiled again")
	}
	compile("1 == 3")
	compile("1 == 4") // for which the second had to go
	if compile("1 == 1") != first || len(c.of) != 3 || c.used.Len() != 3 {
		t.Errorf("%d are remembered", len(c.of))
	}
	if _, err := c.Compile(OrderBy, "1 == 1"); err == nil {
		t.Error("a bool for an order")
	}
	if _, again := c.Compile(OrderBy, "1 == 1"); again == nil {
		t.Error("the error was forgotten")
	}
}
