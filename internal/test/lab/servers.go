// SPDX-License-Identifier: Apache-2.0

// Servers on the hosts: web servers (nginx), and UDP servers that answer with
// their name.

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/test/cluster"
)

// realServers returns the real servers among the hosts.
func realServers(hosts cluster.Hosts) (list cluster.Hosts) {
	for _, h := range hosts {
		if strings.HasPrefix(h.Name, "nginx") {
			list = append(list, h)
		}
	}
	return list
}

// web is the name of a web server that is not a real server.
const web = "web"

// build builds the network, and sets up the hosts' tools, home directories
// and web servers.
func build(hosts cluster.Hosts) error {
	if err := provideTools(); err != nil {
		return err
	}
	if err := cluster.Build(hosts); err != nil {
		return err
	}
	for _, h := range hosts {
		err := os.MkdirAll(home(h.Name), 0o755)
		if err == nil && (strings.HasPrefix(h.Name, "nginx") || h.Name == web) {
			err = startNginx(h.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	return nil
}

// nginxConf keeps all files of nginx in the host's home. Without keep-alive
// each request is a new connection for the director to schedule; /hold keeps
// its connection, /slow takes 15 seconds, and /peer shows the client's
// address.
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
		location = /download { alias html/big; limit_rate 256k; }
		location = /peer { return 200 "$remote_addr\n"; }
	}
}
`

// bigFile is the size of /big in bytes.
const bigFile = 1 << 20

// startNginx returns when nginx listens: only then does it become a daemon.
func startNginx(host string) error {
	for name, text := range map[string]string{
		"nginx.conf":      nginxConf,
		"html/index.html": "this is " + host + "\n",
		"html/big":        strings.Repeat("0123456789abcde\n", bigFile/16),
	} {
		path := filepath.Join(home(host), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if out, err := run(host, exec.Command("nginx", "-p", home(host), "-c", "nginx.conf")); err != nil {
		return fmt.Errorf("nginx: %w\n%s", err, out)
	}
	return nil
}

// serveUDP starts a UDP server at a service's address on each real server. It
// ends with the guest.
func serveUDP(hosts cluster.Hosts, address string) error {
	for _, h := range realServers(hosts) {
		err := h.Do(func() error {
			conn, err := net.ListenPacket("udp", address)
			if err != nil {
				return err
			}
			go func() {
				for message := make([]byte, 1<<10); ; {
					_, from, err := conn.ReadFrom(message)
					if err != nil {
						return
					}
					conn.WriteTo([]byte(h.Name), from)
				}
			}()
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
