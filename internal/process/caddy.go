package process

import (
	"os"
	"os/exec"
	"path/filepath"
)

// StartCaddy runs the Caddy at the path binary with a Caddyfile. Caddy's data and output
// go to the folder dir. Its environment is that of this process, with env added.
func StartCaddy(binary, dir string, caddyfile []byte, env ...string) (*Process, error) {
	config := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(config, caddyfile, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "run", "--adapter", "caddyfile", "--config", config)
	cmd.Env = append(os.Environ(), env...)
	cmd.Env = append(cmd.Env, "XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
	return Start(cmd, filepath.Join(dir, "caddy.log"))
}
