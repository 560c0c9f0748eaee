// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nginxConf keeps all of nginx's files in the host's home. Without keep-alive
// each request is a connection of its own, for which the director chooses anew;
// /hold keeps it, /slow takes a quarter of a minute, and /peer says who asks.
const nginxConf = `user root;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events { worker_connections 1000; }
http {
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	default_type text/html;
	keepalive_timeout 0;
	server {
		listen 80;
		listen 443;
		listen [::]:80;
		listen [::]:443;
		root html;
		location = /hold { keepalive_timeout 600; alias html/index.html; }
		location = /slow { alias html/big; limit_rate 64k; }
		location = /peer { return 200 "$remote_addr\n"; }
	}
}
`

// bigFile is the length of /big in bytes.
const bigFile = 1 << 20

// startNginx returns when nginx listens: it becomes a daemon only then.
func (h host) startNginx() error {
	for name, text := range map[string]string{
		"nginx.conf":      nginxConf,
		"html/index.html": h.page + "\n",
		"html/big":        strings.Repeat("0123456789abcde\n", bigFile/16),
	} {
		path := filepath.Join(h.home(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if out, err := h.run(exec.Command("nginx", "-p", h.home(), "-c", "nginx.conf")); err != nil {
		return fmt.Errorf("nginx: %w\n%s", err, out)
	}
	return nil
}
