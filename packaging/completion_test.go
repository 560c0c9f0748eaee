// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
)

// shells are the shells, with scripts that print the completions of the
// command lines in their arguments: one per line, and END after each command
// line.
var shells = []struct{ name, script string }{
	{"bash", `
. /usr/share/bash-completion/completions/ipvsadm
COMP_WORDBREAKS=$' \t\n"><=;|&(:'
for COMP_LINE; do
	COMP_POINT=${#COMP_LINE} COMPREPLY=()
	_ipvsadm "${COMP_LINE%% *}"
	# What stands before a colon is not repeated.
	last=${COMP_LINE##* } before=
	[[ $last == *[:=]* ]] && before=${last%"${last##*[:=]}"}
	printf -- "$before%s\n" "${COMPREPLY[@]}"
	echo END
done
`},
	{"zsh", `
zmodload zsh/zpty
export OFFERS=$0.offers
function await { for ((i = 0; i < 1200; i++)); do [[ -e $OFFERS && $(<$OFFERS) == *$1 ]] && return; zpty -rt shell out; sleep 0.05; done; echo no $1; exit 1; }
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; fpath=(/usr/share/zsh/vendor-completions $fpath); autoload -U compinit; compinit -u -D'
# What is offered goes to a file as well.
zpty -w shell 'function compadd { if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then local -a found; builtin compadd -A found "$@"; print -rl -- $IPREFIX${^found} >> $OFFERS; fi; builtin compadd "$@"; }'
zpty -w shell 'function offers { zle complete-word; BUFFER=; print END >> $OFFERS; }'
zpty -w shell 'zle -C complete-word complete-word _main_complete; zle -N offers; bindkey "^X" offers; print READY > $OFFERS'
await READY
for typed; do
	print > $OFFERS
	zpty -w -n shell "$typed"$'\x18'
	await END
	cat $OFFERS
done
zpty -d shell
`},
	{"fish", `
for typed in $argv
	complete -C $typed | string replace -r '\t.*' ''
	echo END
end
`},
}

func TestCompletion(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		install(t, "debian")
		for _, line := range []string{
			"-A -t 12.0.0.1:80 -s rr", "-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m",
			"-A -t 12.0.0.1:443 -s rr", "-a -t 12.0.0.1:443 -r 192.168.168.20:443 -m",
			"-A -u 12.0.0.1:53 -s rr", "-A --sctp-service 12.0.0.2:99", "-A -f 77", "-A -f 78 -6",
			"-A -t [2001:db8::1]:80", "-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -m",
		} {
			program.Run(t, append([]string{"ipvsadm"}, strings.Fields(line)...)...)
		}
		program.Run(t, "ip", "netns", "add", "blue")
		t.Cleanup(func() { program.Run(t, "ip", "netns", "delete", "blue") })
		program.Run(t, "ip", "-n", "blue", "link", "set", "lo", "up") // or no address is known there
		for _, line := range []string{"-A -t 12.0.0.9:80", "-a -t 12.0.0.9:80 -r 192.168.168.90:80 -m"} {
			program.Run(t, append([]string{"ipvsadm", "--netns", "blue"}, strings.Fields(line)...)...)
		}
		dir := t.TempDir()
		program.Write(t, filepath.Join(dir, "here"), "")
		cases := []struct {
			typed  string
			offers []string // these
			not    []string // and none of these
		}{
			{"ipvsadm --add", []string{"--add-service", "--add-server"}, []string{"--list"}},
			{"ipvsadm -A --", []string{"--tcp-service", "--scheduler", "--pe"}, []string{"--weight", "--real-server", "--add-service"}},
			{"ipvsadm -a --", []string{"--real-server", "--tun-type", "--weight"}, []string{"--scheduler", "--stats"}},
			{"ipvsadm --list --", []string{"--stats", "--fwmark-service", "--daemon"}, []string{"--weight"}},
			{"ipvsadm --apply --", []string{"--dry-run", "--strict"}, []string{"--stats", "--all"}},
			{"ipvsadm-save --", []string{"--all", "--output", "--numeric"}, []string{"--strict"}},
			{"ipvsadm-restore --", []string{"--check", "--strict"}, []string{"--all"}},
			{"ipvsadm --start-daemon ", []string{"master", "backup"}, []string{"--syncid"}},
			{"ipvsadm -A -t 1.2.3.4:80 -s ", []string{"rr", "wlc", "sh", "mh", "lblcr"}, []string{"ftp", "pe_sip", "-t"}},
			{"ipvsadm -A -t 1.2.3.4:80 --scheduler=w", []string{"--scheduler=wlc", "--scheduler=wrr"}, nil},
			{"ipvsadm -A -t 1.2.3.4:80 --pe ", []string{"sip"}, []string{"rr"}},
			{"ipvsadm -A -t 1.2.3.4:80 -s sh -b sh-port,sh-f", []string{"sh-port,sh-fallback"}, nil},
			{"ipvsadm -a -t 12.0.0.1:80 -r 1.2.3.4 -i --tun-type g", []string{"gue", "gre"}, []string{"ipip"}},
			{"ipvsadm --start-daemon master --mcast-interface ", []string{"lo"}, nil},
			{"ipvsadm -D -t ", []string{"12.0.0.1:80", "12.0.0.1:443", "[2001:db8::1]:80"}, []string{"12.0.0.1:53"}},
			{"ipvsadm -D -t 12.0.0.1:4", []string{"12.0.0.1:443"}, []string{"12.0.0.1:80"}},
			{"ipvsadm -Dt ", []string{"12.0.0.1:80"}, []string{"12.0.0.1:53"}},
			{"ipvsadm -D -u ", []string{"12.0.0.1:53"}, []string{"12.0.0.1:80"}},
			{"ipvsadm -D --sctp-service ", []string{"12.0.0.2:99"}, []string{"12.0.0.1:80"}},
			{"ipvsadm -D -f ", []string{"77", "78"}, []string{"12.0.0.1:80"}},
			{"ipvsadm -d -t 12.0.0.1:80 -r ", []string{"192.168.168.10:80"}, []string{"192.168.168.20:443"}},
			{"ipvsadm -d -t [2001:db8::1]:80 -r ", []string{"[2001:db8::2]:80"}, []string{"192.168.168.10:80"}},
			{"ipvsadm -a -t 12.0.0.1:80 -r ", []string{"192.168.168.10:80", "192.168.168.20:443"}, nil},
			{"ipvsadm --net", []string{"--netns"}, []string{"--list"}},
			{"ipvsadm --netns blue --li", []string{"--list"}, []string{"--stats"}},
			{"ipvsadm --netns=blue --li", []string{"--list"}, []string{"--stats"}},
			{"ipvsadm --netns blue --list --", []string{"--stats", "--daemon"}, []string{"--weight"}},
			{"ipvsadm --netns ", []string{"blue"}, []string{"--list"}},
			{"ipvsadm --netns=b", []string{"--netns=blue"}, nil},
			{"ipvsadm --list --netns b", []string{"blue"}, nil},
			{"ipvsadm-restore --netns b", []string{"blue"}, nil},
			{"ipvsadm --netns blue -D -t ", []string{"12.0.0.9:80"}, []string{"12.0.0.1:80"}},
			{"ipvsadm --netns=blue -Dt ", []string{"12.0.0.9:80"}, []string{"12.0.0.1:80"}},
			{"ipvsadm -d -t 12.0.0.9:80 --netns blue -r ", []string{"192.168.168.90:80"}, []string{"192.168.168.10:80"}},
			{"ipvsadm -D --netns blue -t 12", []string{"12.0.0.9:80"}, []string{"12.0.0.1:80"}},
			{"ipvsadm-restore " + dir + "/", []string{dir + "/here"}, nil},
			{"ipvsadm --doctor " + dir + "/", []string{dir + "/here"}, nil},
			{"ipvsadm --doctor --", []string{"--json"}, []string{"--stats"}},
			{"ipvsadm-save -o " + dir + "/", []string{dir + "/here"}, nil},
			{"ipvsadm-restore --lock " + dir + "/", []string{dir + "/here"}, nil},
		}
		for _, s := range shells {
			program.Need(t, s.name)
			script := filepath.Join(t.TempDir(), s.name)
			program.Write(t, script, s.script)
			words := []string{s.name, script}
			for _, c := range cases {
				words = append(words, c.typed)
			}
			// zsh quotes the brackets of IPv6.
			answers := strings.Split(strings.ReplaceAll(program.Run(t, words...), `\`, ""), "END\n")
			if len(answers) != len(cases)+1 {
				t.Fatalf("%s answers %d of %d lines: %q", s.name, len(answers)-1, len(cases), answers)
			}
			for i, c := range cases {
				t.Run(s.name+" "+c.typed, func(t *testing.T) {
					got := strings.Split(answers[i], "\n")
					for _, word := range c.offers {
						// zsh offers files without their folder.
						if !slices.Contains(got, word) && !slices.Contains(got, filepath.Base(word)) {
							t.Errorf("%s is not offered, only %q", word, got)
						}
					}
					for _, word := range c.not {
						if slices.Contains(got, word) {
							t.Errorf("%s is offered", word)
						}
					}
				})
			}
		}
	})
}
