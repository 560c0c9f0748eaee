// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	_ "embed"
	"fmt"
	"strings"

	"github.com/ipvsadm-go/ipvsadm/internal/manual"
	"github.com/ipvsadm-go/ipvsadm/internal/spec"
)

// The completion scripts without the tables, which replace the lines that
// begin with scriptMark.
var (
	//go:embed ipvsadm.bash
	bashScript string
	//go:embed ipvsadm.zsh
	zshScript string
	//go:embed ipvsadm.fish
	fishScript string
)

const scriptMark = "#@ "

// completions returns the completion scripts by file name.
func completions() map[string]string {
	return map[string]string{
		"ipvsadm.bash": script(bashScript, "ipvsadm.bash", map[string]func(*strings.Builder){
			"commands": bashCommands, "options": bashOptions, "kinds": bashKinds,
		}),
		"_ipvsadm": script(zshScript, "ipvsadm.zsh", map[string]func(*strings.Builder){
			"schedulers": zshSchedulers, "commands": zshCommands, "options": zshOptions,
		}),
		"ipvsadm.fish": script(fishScript, "ipvsadm.fish", map[string]func(*strings.Builder){
			"schedulers": fishSchedulers, "commands": fishCommands, "options": fishOptions,
		}),
	}
}

// scriptTexts inserts the sed, grep and awk programs that all shells share.
// They extract the part of a module's name after ip_vs_, the parts that are
// not schedulers, the addresses that ipvsadm -Sn prints after an option, the
// clients that ipvsadm -Lnc lists, and the scheduler flags that can follow
// the typed ones on the line.
var scriptTexts = strings.NewReplacer(
	"@modules@", `s:^(.*/)?ip_vs_([a-z0-9_]+)(\.ko.*| .*)?$:\2:p`,
	"@others@", `ftp|pe_.*`,
	"@schedulers@", strings.Join(spec.Names(spec.Schedulers[:]), " "),
	"@table@", `BEGIN { if (line !~ / -[A-Za-z6]*[tuf] |-service /) line = "" } option == "-r" && $1 == "-a" && (line == "" || index(line, " " $3 " ")) { `+
		`for (i = 4; i < NF; i++) if ($i == "-r") print $(i + 1) } $1 == "-A" && $2 == option { print $3 }`,
	"@clients@", `NR > 2 { sub(/:[0-9]+$/, "", $4); gsub(/[][]/, "", $4); print $4 }`,
	"@flags@", `BEGIN { n = split(line, word, " "); for (i = 1; i <= n; i++) { `+
		`if (word[i] ~ /^--scheduler=/) scheduler = substr(word[i], 13); `+
		`else if (word[i] == "--scheduler" || word[i] ~ /^-[A-Za-z6]*s$/) scheduler = word[i + 1]; `+
		`else if (word[i] ~ /^-s/) scheduler = substr(word[i], 3) } `+
		`n = split(typed, word, ","); for (i = 1; i <= n; i++) given[word[i]] = 1; `+
		`n = split("`+flagTable()+`", word, " "); for (i = 1; i <= n; i += 3) if (word[i] in given) { `+
		`taken[word[i + 2]] = 1; if (scheduler == "" && word[i + 1] != "-") scheduler = word[i + 1] } `+
		`for (i = 1; i <= n; i += 3) if (word[i + 1] == scheduler) named[word[i + 2]] = 1; `+
		`for (i = 1; i <= n; i += 3) if (!(word[i + 2] in taken) && (scheduler == "" || word[i + 1] == scheduler || `+
		`word[i + 1] == "-" && !(word[i + 2] in named))) print word[i] }`,
)

// flagTable returns three words for each scheduler flag: its name, its
// scheduler or a dash for any, and its bit.
func flagTable() string {
	var words []string
	for _, f := range spec.SchedulerFlags {
		scheduler, bit := spec.FindSchedulerFlag(f.Name)
		words = append(words, f.Name, cmp.Or(scheduler, "-"), fmt.Sprint(bit))
	}
	return strings.Join(words, " ")
}

func script(text, name string, places map[string]func(*strings.Builder)) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		place, found := strings.CutPrefix(strings.TrimSpace(line), scriptMark)
		switch {
		case !found:
			b.WriteString(scriptTexts.Replace(line))
		case place == "header":
			fmt.Fprintf(&b, "# %s\n", generated(name))
		default:
			places[place](&b)
		}
	}
	return b.String()
}

// The kinds of a value that cannot be completed, and of a command's argument.
const (
	wordValue     spec.Kind = "word"
	argumentValue spec.Kind = "argument"
)

// kind returns the kind of a value, or its choices separated by bars. It is
// empty if a word has no value or an optional one.
func kind(w *spec.Word) spec.Kind {
	switch {
	case w.Kind != "":
		return w.Kind
	case w.Choices != nil:
		return spec.Kind(strings.Join(spec.Names(w.Choices), "|"))
	case w.Value == spec.RequiredValue:
		return wordValue
	}
	return ""
}

// wrapper is a program that runs one command under its own name.
type wrapper struct {
	program string
	command *spec.Command
	output  byte // the letter of --output
}

var wrappers = [...]wrapper{
	{"ipvsadm-save", spec.FindCommand(spec.Save), manual.SaveOutputLetter},
	{"ipvsadm-restore", spec.FindCommand(spec.Apply), 0},
}

// takesFile reports whether the argument of a command is a rule file.
func takesFile(c *spec.Command) bool { return c.Kind == spec.FileName }

func commandWords(c *spec.Command) []string {
	var words []string
	for _, letter := range []byte{c.Short, c.Alias} {
		if letter != 0 {
			words = append(words, "-"+string(letter))
		}
	}
	return append(words, "--"+c.Long)
}

func optionWords(set spec.Set, output byte) []string {
	var words []string
	for o, short := range manual.Options(set, output) {
		if short != 0 {
			words = append(words, "-"+string(short))
		}
		words = append(words, "--"+o.Long)
	}
	return words
}

func bashCommands(b *strings.Builder) {
	for i := range spec.Commands {
		c := &spec.Commands[i]
		help, _, _ := strings.Cut(c.Help, ";")
		fmt.Fprintf(b, "%-22s %s\n", strings.Join(commandWords(c), " "), help)
	}
}

func bashOptions(b *strings.Builder) {
	var all []string
	for i := range spec.Commands {
		c := &spec.Commands[i]
		all = append(all, commandWords(c)...)
		// Options may share the command's dash.
		patterns := commandWords(c)
		for j := range len(patterns) - 1 {
			patterns[j] += "*"
		}
		bashCase(b, strings.Join(patterns, " | "), strings.Join(optionWords(c.Rule.Takes(), 0), " "))
	}
	for _, w := range wrappers {
		bashCase(b, w.program, strings.Join(optionWords(w.command.Rule.Takes(), w.output), " "))
	}
	bashCase(b, "commands", strings.Join(append(all, optionWords(spec.Global, 0)...), " "))
}

func bashKinds(b *strings.Builder) {
	for o, short := range manual.Options(spec.AllOptions, 0) {
		pattern := "--" + o.Long
		if short != 0 {
			pattern = fmt.Sprintf("-%c | -[!-]*%c | %s", short, short, pattern)
		}
		if k := kind(&o.Word); k != "" {
			bashCase(b, pattern, string(k))
		}
	}
	for i := range spec.Commands {
		c := &spec.Commands[i]
		if c.Value == spec.RequiredValue {
			bashCase(b, "--"+c.Long, string(kind(&c.Word)))
		}
	}
	for i := range spec.Commands {
		if c := &spec.Commands[i]; takesFile(c) {
			bashCase(b, "--"+c.Long, string(argumentValue))
		}
	}
	bashCase(b, "ipvsadm-restore", string(argumentValue))
	fmt.Fprintf(b, "    -%c) [[ $command == ipvsadm-save ]] && echo '%s' ;;\n", manual.SaveOutputLetter, spec.FileName)
}

func bashCase(b *strings.Builder, pattern, text string) {
	fmt.Fprintf(b, "    %s) echo '%s' ;;\n", pattern, text)
}

func zshSchedulers(b *strings.Builder) {
	for _, s := range spec.Schedulers {
		fmt.Fprintf(b, "        %s %s\n", s.Name, quote(zshText(s.Help)))
	}
}

func zshCommands(b *strings.Builder) {
	for i := range spec.Commands {
		c := &spec.Commands[i]
		for _, word := range commandWords(c) {
			fmt.Fprintf(b, "                %s\n", quote(word+":"+zshText(c.Help)))
		}
	}
	for o := range manual.Options(spec.Global, 0) {
		fmt.Fprintf(b, "                %s\n", quote("--"+o.Long+":"+zshText(o.Help)))
	}
}

// zshText escapes the special characters of zsh's completion specs.
func zshText(s string) string {
	return strings.NewReplacer(":", `\:`, "[", "(", "]", ")").Replace(s)
}

func zshOptions(b *strings.Builder) {
	for i := range spec.Commands {
		c := &spec.Commands[i]
		fmt.Fprintf(b, "    %s)\n", strings.Join(commandWords(c), "|"))
		zshArguments(b, c, 0)
	}
	for _, w := range wrappers {
		fmt.Fprintf(b, "    %s)\n", w.program)
		zshArguments(b, w.command, w.output)
	}
}

func zshArguments(b *strings.Builder, c *spec.Command, output byte) {
	b.WriteString("        options=(\n")
	line := func(text string) { fmt.Fprintf(b, "            %s\n", quote(text)) }
	switch {
	case c.Value == spec.RequiredValue:
		line(":" + c.Long + zshAction(kind(&c.Word)))
	case takesFile(c):
		line(":rules" + zshAction(spec.FileName))
	}
	for o, short := range manual.Options(c.Rule.Takes(), output) {
		_, besides := o.Alternatives()
		switch {
		case spec.Uncounted.Has(o.ID):
			besides = spec.Of(o.ID)
		case c.Rule.Excluded(o.ID) != 0:
			besides = c.Rule.Excluded(o.ID)
		}
		text := "[" + zshText(o.Help) + "]"
		letter, long := "", ""
		switch o.Value {
		case spec.RequiredValue:
			text += ":" + o.Arg + zshAction(kind(&o.Word))
			letter, long = "+", "="
		case spec.OptionalValue:
			text += "::" + o.Arg + zshAction(wordValue)
			letter, long = "+", "=-"
		}
		excluded := "(" + strings.Join(optionWords(besides, output), " ") + ")"
		if short != 0 {
			line(fmt.Sprintf("%s-%c%s%s", excluded, short, letter, text))
		}
		line(fmt.Sprintf("%s--%s%s%s", excluded, o.Long, long, text))
	}
	b.WriteString("        )\n        ;;\n")
}

// zshAction returns the action that completes a value. A leading blank keeps
// zsh from adding its own arguments.
func zshAction(kind spec.Kind) string {
	if strings.Contains(string(kind), "|") {
		return ":(" + strings.ReplaceAll(string(kind), "|", " ") + ")"
	}
	switch kind {
	case spec.TCPAddress, spec.UDPAddress, spec.SCTPAddress, spec.MarkValue:
		return ": _ipvsadm_table " + string(kind)
	case spec.ServerAddress:
		return ": _ipvsadm_table -r"
	case spec.ClientAddress:
		return ": _ipvsadm_clients"
	case spec.SchedulerName:
		return ": _ipvsadm_schedulers"
	case spec.FlagList:
		return ": _ipvsadm_flags"
	case spec.EngineName:
		return ": _ipvsadm_engines"
	case spec.InterfaceName:
		return ":_net_interfaces"
	case spec.NamespaceName:
		return ": _ipvsadm_netns"
	case spec.FileName:
		return ":_files"
	}
	return ": "
}

func fishSchedulers(b *strings.Builder) {
	for _, s := range spec.Schedulers {
		fmt.Fprintf(b, "            case %s\n                set about %s\n", s.Name, fishQuote(s.Help))
	}
}

func fishCommands(b *strings.Builder) {
	for i := range spec.Commands {
		c := &spec.Commands[i]
		patterns := commandWords(c)
		for j := range len(patterns) - 1 {
			patterns[j] = "'" + patterns[j] + "*'"
		}
		fmt.Fprintf(b, "        case %s\n            set command %s\n", strings.Join(patterns, " "), c.Long)
	}
}

func fishOptions(b *strings.Builder) {
	complete := func(program string, when []string, short byte, long string, kind spec.Kind, help string) {
		fmt.Fprintf(b, "complete -c %s", program)
		if when != nil {
			fmt.Fprintf(b, " -n '__ipvsadm_is %s'", strings.Join(when, " "))
		}
		if short != 0 {
			fmt.Fprintf(b, " -s %c", short)
		}
		fmt.Fprintf(b, " -l %s%s -d %s\n", long, fishValue(kind), fishQuote(help))
	}
	for i := range spec.Commands {
		c := &spec.Commands[i]
		when, value := []string{"none"}, spec.Kind("")
		if c.Value == spec.RequiredValue {
			when, value = append(when, c.Long), kind(&c.Word)
		}
		complete("ipvsadm", when, c.Short, c.Long, value, c.Help)
		if c.Alias != 0 {
			complete("ipvsadm", when, c.Alias, c.Long, value, c.Help)
		}
		// fish offers options only if the word begins with a dash.
		fmt.Fprintf(b, "complete -c ipvsadm -n '__ipvsadm_is none' -a '%s' -d %s\n", strings.Join(commandWords(c), " "), fishQuote(c.Help))
	}
	for o, short := range manual.Options(spec.AllOptions, 0) {
		var when []string
		for i := range spec.Commands {
			if c := &spec.Commands[i]; c.Rule.Takes().Has(o.ID) && !spec.Global.Has(o.ID) {
				when = append(when, c.Long)
			}
		}
		complete("ipvsadm", when, short, o.Long, kind(&o.Word), o.Help)
	}
	for _, w := range wrappers {
		for o, short := range manual.Options(w.command.Rule.Takes(), w.output) {
			complete(w.program, nil, short, o.Long, kind(&o.Word), o.Help)
		}
	}
	for i := range spec.Commands {
		if c := &spec.Commands[i]; takesFile(c) {
			fmt.Fprintf(b, "complete -c ipvsadm -n '__ipvsadm_is %s' -F\n", c.Long)
		}
	}
	b.WriteString("complete -c ipvsadm-restore -F\n")
}

func fishValue(kind spec.Kind) string {
	switch kind {
	case "":
		return ""
	case wordValue:
		return " -x"
	case spec.FileName:
		return " -r -F"
	case spec.TCPAddress, spec.UDPAddress, spec.SCTPAddress, spec.MarkValue:
		return " -x -a '(__ipvsadm_table " + string(kind) + ")'"
	case spec.ServerAddress:
		return " -x -a '(__ipvsadm_table -r)'"
	case spec.ClientAddress:
		return " -x -a '(__ipvsadm_clients)'"
	case spec.SchedulerName:
		return " -x -a '(__ipvsadm_schedulers)'"
	case spec.FlagList:
		return " -x -a '(__ipvsadm_flags)'"
	case spec.EngineName:
		return " -x -a '(__ipvsadm_engines)'"
	case spec.InterfaceName:
		return " -x -a '(ls /sys/class/net)'"
	case spec.NamespaceName:
		return " -x -a '(ls /run/netns 2>/dev/null)'"
	}
	return " -x -a '" + strings.ReplaceAll(string(kind), "|", " ") + "'"
}

// quote quotes a word for Bash and zsh.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// fishQuote quotes a word for fish.
func fishQuote(word string) string { return "'" + strings.ReplaceAll(word, "'", `\'`) + "'" }
