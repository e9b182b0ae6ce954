package caddymodule_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	// chromiumEnv names the environment variable with the path of the Chromium to
	// run; without it, one on the PATH is run.
	chromiumEnv = "WEBHOOKS_CHROMIUM"
	// screenshotsEnv names the one with the folder that screenshots go to; without
	// it, none are taken.
	screenshotsEnv = "WEBHOOKS_SCREENSHOTS"
)

func findChromium() (string, error) {
	if path := os.Getenv(chromiumEnv); path != "" {
		return path, nil
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on the PATH; install it (scripts/need chromium does), or set " + chromiumEnv + " to its path")
}

// chromium is a running one.
type chromium struct{ ctx context.Context }

// startChromium starts a Chromium that ends with the test.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	path, err := findChromium()
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // root has none
	}
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return &chromium{browser}
}

// tab is a page in a window of its own, which shares nothing with others.
type tab struct {
	t   testing.TB
	ctx context.Context

	mu     sync.Mutex
	faults []string // exceptions, and what the policy forbade
}

func newTab(t testing.TB, browser *chromium) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	call(p, log.Enable, cdp.Empty{})
	call(p, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	p.size(1280, 900)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, fault := range p.faults {
			t.Errorf("the page: %s", fault)
		}
	})
	return p
}

func (p *tab) listen(event any) {
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		p.fault(exception(event.ExceptionDetails))
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError && event.Entry.Source != log.EntrySourceNetwork {
			p.fault(event.Entry.Text)
		}
	}
}

// fault notes what fails the test in the end.
func (p *tab) fault(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, text)
}

// exception says what an exception does.
func exception(details *runtime.ExceptionDetails) string {
	if details.Exception == nil {
		return details.Text
	}
	return details.Text + " " + details.Exception.Description
}

// run does something in the browser.
func (p *tab) run(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// call runs a command of the protocol, and returns its result.
func call[P, R any](p *tab, command cdp.Command[P, R], params P) R {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		p.t.Fatalf("%s: %v", command.Method, err)
	}
	return result
}

// size sets the size of the window, in CSS pixels.
func (p *tab) size(width, height int64) {
	p.t.Helper()
	p.run(chromedp.EmulateViewport(width, height))
}

// prefer sets a media feature, such as prefers-color-scheme.
func (p *tab) prefer(feature, value string) {
	p.t.Helper()
	call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: feature, Value: value}}})
}

// eval evaluates an expression, and awaits it.
func (p *tab) eval(expression string) {
	p.t.Helper()
	p.value(fmt.Sprintf("(async () => { %s })()", expression), nil)
}

// text is what an expression gives, as a text.
func (p *tab) text(expression string) string {
	p.t.Helper()
	var text string
	p.value(fmt.Sprintf("(async () => String(%s))()", expression), &text)
	return text
}

func (p *tab) value(expression string, v any) {
	p.t.Helper()
	got := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: expression, AwaitPromise: new(true), ReturnByValue: new(true)})
	if got.ExceptionDetails != nil {
		p.t.Fatalf("%.200s: %s", expression, exception(got.ExceptionDetails))
	}
	if v != nil {
		if err := json.Unmarshal(got.Result.Value, v); err != nil {
			p.t.Fatalf("%s: %v", expression, err)
		}
	}
}

// until waits until an expression is true. That something in it is not there yet is
// no failure.
func (p *tab) until(expression string) {
	p.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if p.holds(expression) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s; the page says:\n%s", expression, p.text("document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// holds says whether an expression is true now. It is not while one page takes the place of
// another, when there is none to ask.
func (p *tab) holds(expression string) bool {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression:    fmt.Sprintf(`(() => { try { return Boolean(%s); } catch { return false; } })()`, expression),
		ReturnByValue: new(true),
	})
	if err != nil && p.ctx.Err() != nil {
		p.t.Fatal(err)
	}
	return err == nil && string(got.Result.Value) == "true"
}

// sees waits until the page shows a text.
func (p *tab) sees(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.body.innerText.includes(%s)", quote(text)))
}

// seesNot waits until the page does not show a text.
func (p *tab) seesNot(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("!document.body.innerText.includes(%s)", quote(text)))
}

// quote makes a text a literal of JavaScript.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // texts always marshal
	}
	return string(quoted)
}

// find waits for the first element with a role and an accessible name, as
// assistive technology has them.
func (p *tab) find(role, name string) cdp.BackendNodeID {
	p.t.Helper()
	var found cdp.BackendNodeID
	eventually(p.t, fmt.Sprintf("the %s %q", role, name), func() bool {
		root := call(p, dom.GetDocument, dom.GetDocumentParams{}).Root
		query := accessibility.QueryAXTreeParams{NodeID: root.NodeID, Role: role, AccessibleName: name}
		tree, err := chromedp.Call(p.ctx, accessibility.QueryAXTree, query)
		if err != nil {
			return false // the page has just become another one
		}
		for _, node := range tree.Nodes {
			if !node.Ignored {
				found = node.BackendDOMNodeID
				return true
			}
		}
		return false
	})
	return found
}

// click clicks on the middle of an element with the mouse.
func (p *tab) click(role, name string) {
	p.t.Helper()
	node := p.find(role, name)
	call(p, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: node})
	quads := call(p, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: node}).Quads
	if len(quads) == 0 {
		p.t.Fatalf("the %s %q has no place", role, name)
	}
	q := quads[0]
	p.run(chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2))
}

// fill replaces what a field says, as typing does.
func (p *tab) fill(role, name, text string) {
	p.t.Helper()
	node := p.find(role, name)
	call(p, dom.Focus, dom.FocusParams{BackendNodeID: node})
	p.eval("document.activeElement.select()")
	if text == "" {
		p.press("Backspace")
		return
	}
	call(p, input.InsertText, input.InsertTextParams{Text: text})
}

// keys that press knows beside single characters.
var keys = map[string]string{
	"Tab": "\t", "Enter": "\r", "Escape": "\u001b", "Backspace": "\b", "Space": " ",
	"ArrowDown": "\u0301", "ArrowLeft": "\u0302", "ArrowRight": "\u0303", "ArrowUp": "\u0304", "End": "\u0305", "Home": "\u0306",
}

// press presses keys, one after the other.
func (p *tab) press(names ...string) {
	p.t.Helper()
	for _, name := range names {
		key, ok := keys[name]
		if !ok {
			key = name
		}
		p.run(chromedp.KeyEvent(key))
	}
}

// focused is the accessible name of what has the focus.
func (p *tab) focused() string {
	p.t.Helper()
	active := call(p, runtime.Evaluate, runtime.EvaluateParams{Expression: "document.activeElement"}).Result
	tree := call(p, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: active.ObjectID, FetchRelatives: new(false)})
	if len(tree.Nodes) == 0 || tree.Nodes[0].Name == nil {
		return ""
	}
	var name string
	if err := json.Unmarshal(tree.Nodes[0].Name.Value, &name); err != nil {
		p.t.Fatal(err)
	}
	return name
}

// tabTo presses Tab until something with an accessible name has the focus.
func (p *tab) tabTo(name string) {
	p.t.Helper()
	var passed []string
	for range 60 {
		p.press("Tab")
		if p.focused() == name {
			return
		}
		passed = append(passed, p.focused())
	}
	p.t.Fatalf("Tab does not lead to %q, but to %q", name, passed)
}

// screenshot keeps what the window shows, if screenshots are asked for.
func (p *tab) screenshot(name string) {
	p.t.Helper()
	folder := os.Getenv(screenshotsEnv)
	if folder == "" {
		return
	}
	png := call(p, page.CaptureScreenshot, page.CaptureScreenshotParams{}).Data
	name = strings.ReplaceAll(name, " ", "-") + ".png"
	if err := os.WriteFile(filepath.Join(folder, name), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

var shiftTab = chromedp.KeyEvent(keys["Tab"], chromedp.KeyModifiers(chromedp.ModifierShift))
