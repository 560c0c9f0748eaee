// SPDX-License-Identifier: Apache-2.0

package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ipvsadm-go/ipvsadm/internal/spec"
	"github.com/ipvsadm-go/ipvsadm/internal/test/guest/guesttest"
	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/internal/test/program"
	"github.com/ipvsadm-go/ipvsadm/internal/test/terminal"
)

// shells maps each shell to a script that prints the completions of the
// command lines in its arguments: one per line, with a tab and its
// description if it has one, and END after each command line.
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
zpty -w shell 'function compadd { if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then local -a found; builtin compadd -A found "$@"; print -rl -- $IPREFIX${^found} >> $OFFERS; local -i d=${@[(I)-*d]}; (( d )) && print -rl -- ${(P)@[d+1]/ #-- /$'"'\t'"'} >> $OFFERS; fi; builtin compadd "$@"; }'
zpty -w shell 'function offers { zle complete-word; BUFFER=; print END >> $OFFERS; }'
zpty -w shell 'zle -C complete-word complete-word _main_complete; zle -N offers; bindkey "^T" offers; print READY > $OFFERS'
await READY
for typed; do
	print > $OFFERS
	zpty -w -n shell "$typed"$'\x14'
	await END
	cat $OFFERS
done
zpty -d shell
`},
	{"fish", `
for typed in $argv
	complete -C $typed
	echo END
end
`},
}

// quotedNames completes names that contain commands: a completion that is not
// quoted would run them.
func quotedNames(t *testing.T) {
	program.Run(t, "ip", "netns", "add", "qq$(id)")
	program.Run(t, "ip", "link", "add", "qq;id>y", "type", "dummy")
	t.Cleanup(func() {
		program.Run(t, "ip", "netns", "delete", "qq$(id)")
		program.Run(t, "ip", "link", "delete", "qq;id>y")
	})
	const script = `
. /usr/share/bash-completion/completions/ipvsadm
for COMP_LINE; do
	COMP_POINT=${#COMP_LINE} COMPREPLY=()
	_ipvsadm ipvsadm
	echo "${COMPREPLY[@]}"
done
`
	got := program.Run(t, "bash", "-c", script, "bash", "ipvsadm --netns q", `ipvsadm --netns qq\$`, "ipvsadm --start-daemon master --mcast-interface q")
	if want := `qq\$\(id\)` + "\n" + `qq\$\(id\)` + "\n" + `qq\;id\>y` + "\n"; got != want {
		t.Errorf("%swant\n%s", got, want)
	}
}

func TestCompletion(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		install(t, "debian")
		for _, line := range []string{
			"-A -t 12.0.0.1:80 -s rr", "-a -t 12.0.0.1:80 -r 192.168.168.10:80 -m",
			"-A -t 12.0.0.1:443 -s rr", "-a -t 12.0.0.1:443 -r 192.168.168.20:443 -m",
			"-A -u 12.0.0.1:53 -s rr", "-A --sctp-service 12.0.0.2:99", "-A -f 77", "-A -f 78 -6",
			"-A -t [2001:db8::1]:80", "-a -t [2001:db8::1]:80 -r [2001:db8::2]:80 -m", "-A -t [fd00:12::1]:80",
			"-a -u 12.0.0.1:53 -r 127.0.0.1:53 -m",
		} {
			program.Run(t, append([]string{"ipvsadm"}, strings.Fields(line)...)...)
		}
		program.Run(t, "ip", "addr", "add", "12.0.0.1/32", "dev", "lo")
		program.Run(t, "bash", "-c", "printf x >/dev/udp/12.0.0.1/53")
		program.Run(t, "ip", "netns", "add", "blue")
		t.Cleanup(func() { program.Run(t, "ip", "netns", "delete", "blue") })
		program.Run(t, "ip", "-n", "blue", "link", "set", "lo", "up") // otherwise the namespace has no address
		for _, line := range []string{"-A -t 12.0.0.9:80", "-a -t 12.0.0.9:80 -r 192.168.168.90:80 -m"} {
			program.Run(t, append([]string{"ipvsadm", "--netns", "blue"}, strings.Fields(line)...)...)
		}
		t.Run("bash quotes names", quotedNames)
		dir := t.TempDir()
		program.Write(t, filepath.Join(dir, "here"), "")
		type line struct {
			typed  string
			offers []string // expected
			not    []string // unexpected
		}
		cases := []line{
			{"ipvsadm ", []string{"-A", "-l", "--list", "--watch", "--monitor", "--doctor", "--apply"}, []string{"--stats"}},
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
			{"ipvsadm -A -t 1.2.3.4:80 -s sh -b ", []string{"sh-port", "sh-fallback", "flag-3"}, []string{"mh-port", "flag-1", "flag-2"}},
			{"ipvsadm -A -t 1.2.3.4:80 -s sh -b sh-port,", []string{"sh-port,sh-fallback", "sh-port,flag-3"},
				[]string{"sh-port,sh-port", "sh-port,mh-port", "sh-port,mh-fallback", "sh-port,flag-1", "sh-port,flag-2"}},
			{"ipvsadm -A -t 1.2.3.4:80 -b sh-port,flag-3,", []string{"sh-port,flag-3,sh-fallback"},
				[]string{"sh-port,flag-3,flag-3", "sh-port,flag-3,mh-fallback", "sh-port,flag-3,sh-port"}},
			{"ipvsadm -A -t 1.2.3.4:80 -b ", []string{"sh-port", "mh-port", "flag-1"}, nil},
			{"ipvsadm -A -t 1.2.3.4:80 -s rr -b ", []string{"flag-1", "flag-2", "flag-3"}, []string{"sh-port", "mh-fallback"}},
			{"ipvsadm -At 1.2.3.4:80 --scheduler=mh --sched-flags=mh-f", []string{"--sched-flags=mh-fallback"}, []string{"--sched-flags=mh-port"}},
			{"ipvsadm -Lc --client ", []string{"12.0.0.1"}, nil},
			{"ipvsadm -Lc --state E", []string{"ESTABLISHED"}, []string{"UDP"}},
			{"ipvsadm -Lc -r ", []string{"192.168.168.10:80", "[2001:db8::2]:80"}, nil},
			{"ipvsadm -D -t [fd", []string{"[fd00:12::1]:80"}, []string{"[2001:db8::1]:80"}},
			{"ipvsadm --zero -t [2", []string{"[2001:db8::1]:80"}, []string{"[fd00:12::1]:80"}},
			{"ipvsadm-save --update " + dir + "/", []string{dir + "/here"}, nil},
			{"ipvsadm -L --metrics --output " + dir + "/", []string{dir + "/here"}, nil},
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
		// Only the options of the command are offered.
		commands := line{typed: "ipvsadm --"}
		for _, c := range spec.Commands {
			commands.offers = append(commands.offers, "--"+c.Long)
			typed := "ipvsadm --" + c.Long
			if c.Value == spec.RequiredValue {
				typed += " master"
			}
			cases = append(cases, line{typed + " --", long(c.Rule.Takes()), long(spec.AllOptions &^ c.Rule.Takes())})
		}
		cases = append(cases, commands)
		for name, id := range map[string]spec.CommandID{"ipvsadm-save": spec.Save, "ipvsadm-restore": spec.Apply} {
			takes := spec.FindCommand(id).Rule.Takes()
			cases = append(cases, line{name + " --", long(takes), long(spec.AllOptions &^ takes)})
		}
		for _, s := range shells {
			program.Need(t, s.name)
			cases := slices.Clone(cases)
			if s.name == "fish" {
				cases = append(cases,
					line{"ipvsadm -L", []string{"-Ln", "-Lc", "-LX", "-Lt"}, []string{"-Lw", "-LA", "-LL"}},
					line{"ipvsadm -Ln", []string{"-Lnc"}, []string{"-Lnn"}},
					line{"ipvsadm --netns blue -a", []string{"-at", "-am"}, []string{"-as"}},
					line{"ipvsadm-save -", []string{"-n", "-o"}, []string{"-L"}})
			}
			if s.name == "zsh" { // other shells do not escape brackets
				cases = append(cases, line{"print $commands[ipvsadm-s", []string{"ipvsadm-save"}, nil},
					line{"sudo ipvsadm -D -t [2", []string{"[2001:db8::1]:80"}, nil})
			}
			script := filepath.Join(t.TempDir(), s.name)
			program.Write(t, script, s.script)
			words := []string{s.name, script}
			for _, c := range cases {
				words = append(words, c.typed)
			}
			// zsh escapes the brackets of IPv6.
			answers := strings.Split(strings.ReplaceAll(program.Run(t, words...), `\`, ""), "END\n")
			if len(answers) != len(cases)+1 {
				t.Fatalf("%s answers %d of %d lines: %q", s.name, len(answers)-1, len(cases), answers)
			}
			for i, c := range cases {
				t.Run(s.name+" "+c.typed, func(t *testing.T) {
					var got []string
					about := make(map[string]string)
					for line := range strings.Lines(answers[i]) {
						word, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
						if got = append(got, word); text != "" {
							about[word] = text
						}
					}
					if s.name != "bash" && strings.HasSuffix(c.typed, " -s ") {
						described(t, about, got)
					}
					for _, word := range c.offers {
						// zsh offers files without
						// their directory, and
						// addresses without the typed
						// bracket.
						if !slices.Contains(got, word) && !slices.Contains(got, filepath.Base(word)) &&
							!(strings.Contains(c.typed, " [") && slices.Contains(got, strings.TrimPrefix(word, "["))) {
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

// long returns the options of a set as they are typed.
func long(set spec.Set) (words []string) {
	for _, o := range spec.Options {
		if set.Has(o.ID) {
			words = append(words, "--"+o.Long)
		}
	}
	return words
}

// described checks that each scheduler is offered with a description, which
// is truncated on a narrow screen.
func described(t *testing.T, about map[string]string, got []string) {
	known := 0
	for _, s := range spec.Schedulers {
		if !slices.Contains(got, s.Name) {
			continue // this kernel lacks it
		}
		known++
		if text := strings.TrimRight(about[s.Name], ". "); text == "" || !strings.HasPrefix(s.Help, text) {
			t.Errorf("%s is described as %q, want %q", s.Name, about[s.Name], s.Help)
		}
	}
	if known < 10 {
		t.Errorf("only %d schedulers are offered: %q", known, got)
	}
}

// TestFirstTab types a single TAB in an interactive Bash. If Bash completed
// the commands, it would only add a dash.
func TestFirstTab(t *testing.T) {
	guesttest.InGuest(t, func(t *testing.T) {
		program.Need(t, "bash")
		screen := terminal.New(t, 100, 60)
		bash := exec.Command("bash", "--norc", "--noprofile", "-i")
		bash.Env = append(os.Environ(), "TERM=dumb", `PS1=\[\]ready\$ `)
		screen.Start(t, bash)
		defer func() {
			screen.Type("\x15exit\r")
			bash.Wait()
		}()
		ends := func(want string) func(string) bool {
			return func(text string) bool { return strings.HasSuffix(strings.TrimRight(text, "\n "), want) }
		}
		screen.Await(t, "the prompt", ends("ready#"))
		must.OK(t, screen.Type(". completion/ipvsadm.bash\r"))
		screen.Await(t, "the next prompt", ends(".bash\nready#"))
		must.OK(t, screen.Type("ipvsadm \t"))
		screen.Await(t, "the list of commands", func(text string) bool {
			_, list, _ := strings.Cut(text, "ready# ipvsadm\n")
			for _, c := range spec.Commands {
				about, _, _ := strings.Cut(c.Help, ";")
				if !strings.Contains(list, "--"+c.Long+" ") || !strings.Contains(list, about[:min(len(about), 60)]) {
					return false
				}
			}
			return ends("\nready# ipvsadm")(text)
		})
		must.OK(t, screen.Type("--do\t--js\t"))
		screen.Await(t, "the rest of the line", ends("\nready# ipvsadm --doctor --json"))
	})
}
