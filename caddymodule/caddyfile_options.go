package caddymodule

import (
	"math"
	"regexp"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// option is a line of a block in the Caddyfile.
type option struct {
	// parse reads what follows the option's name.
	parse func(*caddyfile.Dispenser) error
	// repeat allows more than one such line.
	repeat bool
}

// optionName matches what errors can repeat of an unknown option. Anything else may be
// a token or a URL with a password whose option was forgotten.
var optionName = regexp.MustCompile(`^([a-z_]{1,32}|\{)$`)

// parseBlock reads the block that follows, if there is one. It refuses unknown options
// and repeated ones, and returns the number of lines.
func parseBlock(d *caddyfile.Dispenser, what string, options map[string]option) (lines int, err error) {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); lines++ {
		name := d.Val()
		o, ok := options[name]
		switch {
		case !ok && !optionName.MatchString(name):
			return 0, d.Errf("unrecognized %s option", what)
		case !ok:
			return 0, d.Errf("unrecognized %s option '%s'", what, name)
		case seen[name] && !o.repeat:
			return 0, d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := o.parse(d); err != nil {
			return 0, err
		}
	}
	return lines, nil
}

// parseNested reads an option that has only a block.
func parseNested(d *caddyfile.Dispenser, options map[string]option) error {
	what := d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	lines, err := parseBlock(d, what, options)
	if err != nil {
		return err
	}
	if lines == 0 {
		return d.Errf("%s needs a block with at least one option", what)
	}
	return nil
}

// bare parses an option that takes no value.
func bare(target *bool) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		if d.NextArg() {
			return d.ArgErr()
		}
		*target = true
		return nil
	}
}

// text parses an option that takes one text, which must not be empty. Unlike
// Dispenser.ArgErr, its errors do not repeat the text, which may be secret.
func text(d *caddyfile.Dispenser, target *string) error {
	name := d.Val()
	if !d.AllArgs(target) {
		return d.Errf("wrong argument count or unexpected line ending after '%s'", name)
	}
	if *target == "" {
		return d.Errf("%s is empty", name)
	}
	return nil
}

// list parses an option that takes one or more texts, none of them empty.
func list(d *caddyfile.Dispenser) ([]string, error) {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return nil, d.ArgErr()
	}
	for _, arg := range args {
		if arg == "" {
			return nil, d.Errf("%s: a value is empty", name)
		}
	}
	return args, nil
}

// each parses an option that takes texts which can each be parsed.
func each[T any](target *[]string, parse func(string) (T, error)) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		values, err := list(d)
		if err != nil {
			return err
		}
		for _, value := range values {
			if hasPlaceholder(value) {
				continue // checked once it is resolved
			}
			if _, err := parse(value); err != nil {
				return d.WrapErr(err)
			}
		}
		*target = append(*target, values...)
		return nil
	}
}

// scalar parses an option that takes one number of some kind, and tells whether it
// is zero.
type scalar func(*caddyfile.Dispenser) (zero bool, err error)

// nonZero refuses zero, since in JSON it means the default.
func nonZero(parse scalar) func(*caddyfile.Dispenser) error {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		zero, err := parse(d)
		if err == nil && zero {
			return d.Errf("%s must be more than 0", name)
		}
		return err
	}
}

func duration(target *caddy.Duration) scalar {
	return parseScalar(target, parseDuration)
}

func integer(target *int) scalar {
	return parseScalar(target, parseInt)
}

func size(target *int64) scalar {
	return parseScalar(target, parseSize)
}

func parseScalar[T comparable](target *T, parse func(*caddyfile.Dispenser, string) (T, error)) scalar {
	return func(d *caddyfile.Dispenser) (bool, error) {
		var value string
		if !d.AllArgs(&value) {
			return false, d.ArgErr()
		}
		var err error
		*target, err = parse(d, value)
		var zero T
		return *target == zero, err
	}
}

func parseDuration(d *caddyfile.Dispenser, value string) (caddy.Duration, error) {
	resolved, err := resolveNow(d, value)
	if err != nil {
		return 0, err
	}
	parsed, err := caddy.ParseDuration(resolved)
	if err != nil {
		return 0, d.Errf("'%s' is not a duration such as 15s, 2m or 14d", value)
	}
	return caddy.Duration(parsed), nil
}

func parseInt(d *caddyfile.Dispenser, value string) (int, error) {
	resolved, err := resolveNow(d, value)
	if err != nil {
		return 0, err
	}
	parsed, err := strconv.Atoi(resolved)
	if err != nil {
		return 0, d.Errf("'%s' is not a whole number", value)
	}
	return parsed, nil
}

func parseSize(d *caddyfile.Dispenser, value string) (int64, error) {
	resolved, err := resolveNow(d, value)
	if err != nil {
		return 0, err
	}
	parsed, err := humanize.ParseBytes(resolved)
	if err != nil || parsed > math.MaxInt64 {
		return 0, d.Errf("'%s' is not a size such as 16KiB or 1MiB", value)
	}
	return int64(parsed), nil
}

// resolveNow replaces placeholders while the Caddyfile is read, since numbers,
// durations and sizes are numbers in JSON. Errors do not show the result: somebody may
// have put the placeholder of a password there.
func resolveNow(d *caddyfile.Dispenser, value string) (string, error) {
	if !hasPlaceholder(value) {
		return value, nil
	}
	resolved, err := resolve(caddy.NewReplacer(), value)
	if err != nil {
		return "", d.Errf("the value %w", err)
	}
	return resolved, nil
}
