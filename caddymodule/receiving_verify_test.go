package caddymodule_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func verify(secret string, body []byte, signature string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(signature), []byte(want))
}

// wantVerify checks that what is shown as verify is the function of this file.
func wantVerify(t *testing.T, shown string) {
	t.Helper()
	source, err := os.ReadFile("receiving_verify_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), "\n"+shown) {
		t.Errorf("this test has another function than\n%s", shown)
	}
}

// receivingFile is the document for developers of receivers.
const receivingFile = "../docs/receiving.md"

// verifyLanguages are the document's, but for Go, which this file has itself. Each program reads
// lines of a secret, a body and a signature, in base64 and with a space between them, and prints
// true or false. The signature - stands for none.
var verifyLanguages = []struct {
	heading, language string
	file              string
	before, after     string     // the example
	run               [][]string // in a folder with the file
}{
	{"### JavaScript", "js", "verify.mjs", "", `
import { readFileSync } from "node:fs";
for (const line of readFileSync(0, "utf8").replace(/\n$/, "").split("\n")) {
  const [secret, body, signature] = line.split(" ").map((each) => each === "-" ? undefined : Buffer.from(each, "base64"));
  console.log(verify(secret.toString(), body, signature?.toString()));
}
`, [][]string{{"node", "verify.mjs"}}},
	{"### Python", "python", "verify.py", "", `
import base64, sys
for line in sys.stdin:
    secret, body, signature = [None if each == "-" else base64.b64decode(each) for each in line.rstrip("\n").split(" ")]
    print(str(verify(secret.decode(), body, None if signature is None else signature.decode())).lower())
`, [][]string{{"python3", "verify.py"}}},
	{"### Ruby", "ruby", "verify.rb", "", `
while line = gets
  secret, body, signature = line.chomp.split(/ /, -1).map { |each| each == "-" ? nil : each.unpack1("m") }
  puts verify(secret, body, signature)
end
`, [][]string{{"ruby", "verify.rb"}}},
	{"### PHP", "php", "verify.php", "<?php\n", `
while ($line = fgets(STDIN)) {
    [$secret, $body, $signature] = array_map(fn($each) => $each === "-" ? null : base64_decode($each), explode(" ", rtrim($line, "\n")));
    echo verify($secret, $body, $signature) ? "true" : "false", "\n";
}
`, [][]string{{"php", "verify.php"}}},
	{"### Java", "java", "Main.java", "", `
class Main {
    public static void main(String[] args) throws Exception {
        var lines = new java.io.BufferedReader(new java.io.InputStreamReader(System.in));
        var base64 = java.util.Base64.getDecoder();
        for (String line; (line = lines.readLine()) != null;) {
            String[] words = line.split(" ", -1);
            String signature = words[2].equals("-") ? null : new String(base64.decode(words[2]), UTF_8);
            System.out.println(Webhooks.verify(new String(base64.decode(words[0]), UTF_8), base64.decode(words[1]), signature));
        }
    }
}
`, [][]string{{"javac", "Main.java"}, {"java", "-cp", ".", "Main"}}},
	{"### C#", "csharp", "Program.cs", "", `
static class Program
{
    static void Main()
    {
        Func<string, string> text = each => Encoding.UTF8.GetString(Convert.FromBase64String(each));
        for (string line; (line = Console.ReadLine()) != null;)
        {
            string[] words = line.Split(' ');
            string signature = words[2] == "-" ? null : text(words[2]);
            Console.WriteLine(Webhooks.Verify(text(words[0]), Convert.FromBase64String(words[1]), signature) ? "true" : "false");
        }
    }
}
`, [][]string{{"mcs", "-out:verify.exe", "Program.cs"}, {"mono", "verify.exe"}}},
}

// checkVerify tries verify, which must be the document's, with a request that was
// signed with the README's secret, and with changed ones.
func checkVerify(t *testing.T, body []byte, signature string) {
	t.Helper()
	wantVerify(t, blocks(t, receivingFile, "### Go", "go")[0])
	for _, c := range verifyCases(body, signature) {
		var given string
		if c.signature != nil {
			given = *c.signature
		}
		if got := verify(c.secret, c.body, given); got != c.want {
			t.Errorf("Go says %t, want %t: %s", got, c.want, c.name)
		}
	}
}

// checkVerifyElsewhere does the same in the document's other languages.
func checkVerifyElsewhere(t *testing.T, body []byte, signature string) {
	t.Helper()
	cases := verifyCases(body, signature)
	var input strings.Builder
	for _, c := range cases {
		given := "-"
		if c.signature != nil {
			given = base64.StdEncoding.EncodeToString([]byte(*c.signature))
		}
		fmt.Fprintln(&input, base64.StdEncoding.EncodeToString([]byte(c.secret)), base64.StdEncoding.EncodeToString(c.body), given)
	}
	for _, l := range verifyLanguages {
		dir := t.TempDir()
		program := l.before + blocks(t, receivingFile, l.heading, l.language)[0] + l.after
		if err := os.WriteFile(filepath.Join(dir, l.file), []byte(program), 0o600); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, args := range l.run {
			said = strings.Fields(runExample(t, dir, input.String(), args...))
		}
		if len(said) != len(cases) {
			t.Fatalf("%s says %q of %d requests", l.language, said, len(cases))
		}
		for i, c := range cases {
			if got := said[i] == "true"; got != c.want {
				t.Errorf("%s says %t, want %t: %s", l.language, got, c.want, c.name)
			}
		}
	}
}

// runExample runs a program in a folder and gives what it prints.
func runExample(t *testing.T, dir, input string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q (scripts/need examples installs it): %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// verifyCase is a request that a receiver gets, perhaps with another signature.
type verifyCase struct {
	name      string
	secret    string
	body      []byte
	signature *string // nil if the header is missing
	want      bool
}

func verifyCases(body []byte, signature string) []verifyCase {
	text := func(s string) *string { return &s }
	return []verifyCase{
		{"right", readmeSecret, body, &signature, true},
		{"another body", readmeSecret, append(bytes.Clone(body), ' '), &signature, false},
		{"another secret", readmeSecret + "!", body, &signature, false},
		{"without whsec_", strings.TrimPrefix(readmeSecret, "whsec_"), body, &signature, false},
		{"no signature", readmeSecret, body, nil, false},
		{"an empty signature", readmeSecret, body, text(""), false},
		{"a secret that is not ASCII", "größe", body, &signature, false},
		{"a shorter signature", readmeSecret, body, text(signature[:len(signature)-1]), false},
		{"a longer signature", readmeSecret, body, text(signature + "0"), false},
		{"a changed signature", readmeSecret, body, text("sha256=" + strings.Repeat("0", 64)), false},
		{"not ASCII", readmeSecret, body, text("sha256=ä"), false},
	}
}
