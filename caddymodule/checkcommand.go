package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-webhooks/caddy-webhooks/delivery/embedded"
)

// Exit codes of the command check.
const (
	exitDamaged = 1
	exitUsage   = 2
)

func checkCommand() *cobra.Command {
	var salvage string
	cmd := &cobra.Command{
		Use:   "check <folder> [--salvage <new folder>]",
		Short: "Says what is damaged in a store in a folder, and copies what is whole",
		Long: `Reads all of an embedded store and prints a line for each thing that is
damaged. It changes nothing. No Caddy may have the folder open.

Give --salvage to copy all that is whole to a new folder, from which Caddy can
then run. Each line says what could not be copied. Deliveries whose state is
lost are sent again, so endpoints may get events twice. The damaged folder stays
as it is.

The exit code is 0 if the store is whole, 1 if it is damaged or cannot be read,
and 2 if the command is not used as above.`,
		Example: `  caddy webhooks check /var/lib/caddy/.local/share/caddy/webhooks
  caddy webhooks check /srv/webhooks --salvage /srv/webhooks-salvaged`,
		DisableFlagsInUseLine: true,
	}
	cmd.Flags().StringVar(&salvage, "salvage", "", "the new folder to copy what is whole to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 || args[0] == "" || cmd.Flags().Changed("salvage") && salvage == "" {
			return exitWith(exitUsage, errors.New("name one folder: caddy webhooks check <folder> [--salvage <new folder>]"))
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		context.AfterFunc(ctx, stop) // a second signal ends the process at once
		if err := check(ctx, cmd.OutOrStdout(), args[0], salvage); err != nil {
			return exitWith(exitDamaged, err)
		}
		return nil
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return exitWith(exitUsage, err) })
	return cmd
}

// exitWith makes an error with which Caddy exits with a code.
func exitWith(code int, err error) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, err })(&cobra.Command{}, nil)
}

// check prints what is damaged. It returns an error if anything is.
func check(ctx context.Context, out io.Writer, folder, salvage string) error {
	var report *embedded.Report
	var err error
	if salvage == "" {
		report, err = embedded.Check(ctx, folder)
	} else {
		report, err = embedded.Salvage(ctx, folder, salvage)
	}
	if report != nil {
		for _, line := range report.Damages {
			fmt.Fprintln(out, line)
		}
	}
	switch {
	case err != nil:
		return err
	case salvage != "" && len(report.Damages) > 0:
		return fmt.Errorf("%d records are whole and were copied to %s; the lines above say what was not, or is not as it was", report.Records, salvage)
	case len(report.Damages) > 0:
		return fmt.Errorf("the store is damaged: %d records are whole, and --salvage copies them to a new folder", report.Records)
	case salvage != "":
		fmt.Fprintf(out, "the store is whole: %d records were copied to %s\n", report.Records, salvage)
	default:
		fmt.Fprintf(out, "the store is whole: %d records\n", report.Records)
	}
	return nil
}
