package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-webhooks/caddy-webhooks/delivery"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "webhooks",
		Usage: "<command>",
		Short: "Works with the stores of the webhooks app",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(copyCommand(), checkCommand())
		},
	})
}

func copyCommand() *cobra.Command {
	var c copying
	cmd := &cobra.Command{
		Use:   "copy --from <store> --to <store> [--with-secrets]",
		Short: "Copies all webhooks, events and requests from one store to another",
		Long: `Copies everything from one store to another, for all tenants: webhooks, events,
pending deliveries with their attempts, the outcomes of the others, the log of
requests, and the audit log.

Write a store as after "store" in the Caddyfile, and put it in quotes. A block
may have several lines. Use placeholders such as {file./path} and {env.NAME} to
keep passwords off the command line.

First stop every Caddy that uses one of the stores. The command cannot open a
folder that a Caddy has open, but it does not notice a Caddy that uses Redis:
what that one changes meanwhile may be missing from the copy or be sent twice.

Give --with-secrets to copy the secrets of webhooks, too; nothing is copied if
any has one otherwise. Give --from-key and --to-key for stores that encrypt.

The command skips what the target already has, and removes nothing. If it was
interrupted, run it again to continue. At the end it counts what both stores
hold, and fails if the counts differ. Events that expire within the hour are
copied but not counted.

The source does not change, except that earlier versions of Caddy Webhooks may
refuse to open it afterwards. Do not use both stores afterwards: each would send
what is pending.`,
		Example: `  caddy webhooks copy --from "embedded" --to "redis redis://localhost:6379" --with-secrets
  caddy webhooks copy --from "redis redis://:{env.REDIS_PASSWORD}@redis:6379" --to "embedded /srv/webhooks"`,
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // which may be a URL with a password: not to be repeated
				return errors.New("put each store in quotes, such as --to \"redis redis://localhost:6379\"")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A second signal ends the process at once.
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			context.AfterFunc(ctx, stop)
			c.progress.out, c.out = cmd.ErrOrStderr(), cmd.OutOrStdout()
			err := c.run(ctx)
			if err != nil && ctx.Err() != nil {
				return errors.New("interrupted: run the same command again to continue")
			}
			return err
		},
	}
	c.keys.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.from, "from", "", "the store to copy from")
	flags.StringVar(&c.to, "to", "", "the store to copy to")
	flags.BoolVar(&c.withSecrets, "with-secrets", false, "copy the secrets of webhooks, too")
	for _, name := range []string{"from", "to"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // they are defined above
		}
	}
	return cmd
}

// countMargin is for how long counting may take: events that expire within it are
// not counted.
const countMargin = time.Hour

// copying is one run of the command.
type copying struct {
	from, to    string
	withSecrets bool
	keys        copyKeys
	out         io.Writer
	progress    copyProgress
}

func (c *copying) run(ctx context.Context) (err error) {
	// Its end cleans the modules up.
	modules, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	source, err := loadStore(modules, "--from", c.from)
	if err != nil {
		return err
	}
	target, err := loadStore(modules, "--to", c.to)
	if err != nil {
		return err
	}
	if source.Identity() == target.Identity() {
		return errors.New("--from and --to are the same store")
	}
	if err := c.keys.use(source, target); err != nil {
		return err
	}
	from, err := openStore(ctx, "--from", source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := c.checkSecrets(ctx, from); err != nil {
		return err
	}
	to, err := openStore(ctx, "--to", target)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()

	err = delivery.Copy(ctx, from, to, c.progress.tell)
	c.progress.end()
	if err != nil {
		return err
	}
	return c.compare(ctx, from, to)
}

func (c *copying) checkSecrets(ctx context.Context, from delivery.Copyable) error {
	if c.withSecrets {
		return nil
	}
	counts, err := delivery.CountWebhooks(ctx, from)
	if err != nil || counts.Secrets == 0 {
		return err
	}
	return fmt.Errorf("nothing was copied, because %d of %d webhooks have a secret: give --with-secrets to copy secrets, too", counts.Secrets, counts.Webhooks)
}

// compare prints what both stores hold.
func (c *copying) compare(ctx context.Context, from, to delivery.Copyable) error {
	c.progress.say("counting what --from holds")
	at := time.Now().Add(countMargin)
	there, err := delivery.Count(ctx, from, at)
	if err != nil {
		return err
	}
	c.progress.say("counting what --to holds")
	here, err := delivery.Count(ctx, to, at)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%-20s%12s%12s\n", "", "from", "to")
	var different []string
	for _, row := range []struct {
		name     string
		from, to int
	}{
		{"tenants", there.Tenants, here.Tenants},
		{"webhooks", there.Webhooks, here.Webhooks},
		{"events", there.Events, here.Events},
		{"pending deliveries", there.Pending, here.Pending},
		{"requests", there.Requests, here.Requests},
		{"audit entries", there.Audits, here.Audits},
	} {
		if row.name == "audit entries" && row.from+row.to == 0 {
			continue // nobody uses it
		}
		fmt.Fprintf(c.out, "%-20s%12d%12d\n", row.name, row.from, row.to)
		if row.from != row.to {
			different = append(different, row.name)
		}
	}
	switch {
	case len(different) > 0:
		return fmt.Errorf("the stores differ in their %s: either --to was not empty before, or a Caddy uses one of the stores. Stop it and run the command again", strings.Join(different, ", "))
	case there == delivery.Counts{}:
		return errors.New("--from is empty: is it the right store?")
	}
	return nil
}

// loadStore makes a store's module of what stands after "store" in the Caddyfile.
func loadStore(ctx caddy.Context, flag, text string) (StoreModule, error) {
	tokens, err := caddyfile.Tokenize([]byte("store "+text), flag)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	d := caddyfile.NewDispenser(tokens)
	d.Next() // the word store
	var app App
	if err := app.parseStore(d); err != nil {
		return nil, err
	}
	if d.Next() {
		return nil, d.Err("there is something after the store: put each store in quotes of its own")
	}
	module, err := ctx.LoadModule(&app, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	store, ok := module.(StoreModule)
	if !ok {
		return nil, fmt.Errorf("%s: this module is not a store", flag)
	}
	return store, nil
}

// openStore opens the store to copy from, which must be there, or to.
func openStore(ctx context.Context, flag string, module StoreModule) (delivery.Copyable, error) {
	made, err := module.NewStore(caddy.Log())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	store, ok := made.(delivery.Copyable)
	if !ok {
		return nil, fmt.Errorf("%s: this kind of store cannot be copied", flag)
	}
	exists := true
	if flag == "--from" {
		exists, err = store.Exists(ctx)
	}
	switch {
	case err != nil:
	case !exists:
		err = errors.New("there is no such store: " + module.Identity())
	default:
		err = store.Open(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", flag, err), store.Close())
	}
	return store, nil
}

// copyProgress tells now and then how much has been copied.
type copyProgress struct {
	out    io.Writer
	kind   string
	line   string // not printed yet
	spoken time.Time
}

const copyProgressEvery = 5 * time.Second

// tell takes how much of a kind was read, and how much of that was new.
func (p *copyProgress) tell(kind string, read, added int) {
	if kind != p.kind {
		p.end()
		p.kind = kind
	}
	p.line = fmt.Sprintf("%s: %d read, %d copied", kind, read, added)
	if added < read {
		p.line += fmt.Sprintf(", %d were already there", read-added)
	}
	if time.Since(p.spoken) >= copyProgressEvery {
		p.end()
	}
}

// end prints what was not printed yet.
func (p *copyProgress) end() {
	if p.line != "" {
		p.say(p.line)
		p.line = ""
	}
}

func (p *copyProgress) say(line string) {
	fmt.Fprintln(p.out, line)
	p.spoken = time.Now()
}
