# shellcheck shell=bash
#@ header

# _ipvsadm_commands lists the commands with descriptions.
_ipvsadm_commands() {
    cat <<'END'
#@ commands
END
}

# _ipvsadm_options lists the options of a command or of a program.
_ipvsadm_options() {
    case $1 in
#@ options
    esac
}

# _ipvsadm_kind prints the kind of value of an option or a command, nothing if
# it has none.
_ipvsadm_kind() {
    case $1 in
#@ kinds
    esac
}

# _ipvsadm_modules lists the part after ip_vs_ of the names of modules that
# the kernel has or can load.
_ipvsadm_modules() {
    local folder
    folder=/lib/modules/$(uname -r)
    {
        cat /proc/modules "$folder/modules.builtin"
        printf '%s\n' "$folder"/kernel/net/netfilter/ipvs/*
    } 2>/dev/null | sed -nE '@modules@' | sort -u
}

# _ipvsadm_table lists the addresses after an option in the table of the
# line's namespace: real servers of the line's service, of any if it is empty.
_ipvsadm_table() { # program option line
    [[ $EUID == 0 && -e /proc/net/ip_vs ]] || return
    "$1" "${netns[@]}" -Sn 2>/dev/null | awk -v option="$2" -v line="$3" '@table@' | sort -u
}

# _ipvsadm_schedulers lists the kernel's schedulers, or all if it does not
# show which it has.
_ipvsadm_schedulers() {
    _ipvsadm_modules | grep -vxE '@others@' || printf '%s\n' @schedulers@
}

# _ipvsadm_clients lists the clients of up to 1000 connections.
_ipvsadm_clients() { # program
    [[ $EUID == 0 && -e /proc/net/ip_vs ]] || return
    "$1" "${netns[@]}" -Lnc 2>/dev/null | head -n 1000 | awk '@clients@' | sort -u
}

# _ipvsadm_names lists the files of a directory, quoted: Bash inserts them
# unchanged, and a name may contain a command. It skips names with blanks.
_ipvsadm_names() {
    local name
    for name in "$1"/*; do
        [[ -e $name && $name != *[[:space:]]* ]] && printf '%q\n' "${name##*/}"
    done
}

# _ipvsadm_values lists the values of a kind that begin with the typed part.
_ipvsadm_values() { # kind program line typed
    case $1 in
    -t | -u | --sctp-service | -f) _ipvsadm_table "$2" "$1" "" ;;
    server) _ipvsadm_table "$2" -r "$3" ;;
    client) _ipvsadm_clients "$2" ;;
    scheduler) _ipvsadm_schedulers ;;
    flags) awk -v line="$3" -v typed="$4" '@flags@' ;;
    engine) _ipvsadm_modules | sed -n 's/^pe_//p' ;;
    interface) _ipvsadm_names /sys/class/net ;;
    netns) _ipvsadm_names /run/netns ;;
    word) ;;
    *) echo "${1//|/ }" ;;
    esac
}

_ipvsadm() {
    # Bash also splits words at colons, which addresses contain.
    local words line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    # The namespace may precede the command.
    local netns=() i=1
    while ((i < ${#words[@]} - 1)); do
        case ${words[i]} in
        --netns) ((i + 1 < ${#words[@]} - 1)) && netns=("--netns=${words[i + 1]}") ;;
        --netns=*) netns=("${words[i]}") ;;
        esac
        ((++i))
    done
    if [[ ${words[1]} == --netns ]] && ((${#words[@]} > 3)); then
        words=("$1" "${words[@]:3}")
    elif [[ ${words[1]} == --netns=* ]] && ((${#words[@]} > 2)); then
        words=("$1" "${words[@]:2}")
    fi
    local cur=${words[-1]} before="" kind="" text="" command=${1##*/}
    [[ $command == ipvsadm ]] && command=${words[1]}
    # The first TAB would only insert the dash that all commands begin with. A
    # completion that calls this one, as sudo's does, has changed the line.
    # Bash before 4.4 does not print its prompt.
    if [[ $command == "" && $COMP_TYPE == 9 && ${#FUNCNAME[@]} == 1 && $COMP_POINT == "${#COMP_LINE}" ]] &&
        ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)); then
        local prompt=${PS1@P}
        { echo && _ipvsadm_commands | cut -c "1-${COLUMNS:-80}" && printf '%s%s' "${prompt//[$'\001\002']/}" "$COMP_LINE"; } >&2
        return
    fi
    if [[ $cur == --*=* ]]; then
        kind=$(_ipvsadm_kind "${cur%%=*}")
        before=${cur%%=*}=
    elif ((${#words[@]} > 2)); then
        kind=$(_ipvsadm_kind "${words[-2]}")
        [[ $kind == argument ]] && kind=
    fi

    if [[ $kind == file || (-z $kind && $cur != -* && $(_ipvsadm_kind "$command") == argument) ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "${cur#"$before"}")
        return
    elif [[ $kind == flags ]]; then
        local typed=${cur#"$before"}
        typed=${typed%"${typed##*,}"}
        text=$(_ipvsadm_values flags "$1" "${words[*]}" "$typed")
        before+=$typed
    elif [[ $kind ]]; then
        # A new server is probably a server of another service.
        case $command in -a* | --add-server) line="" ;; *) line=" ${words[*]} " ;; esac
        text=$(_ipvsadm_values "$kind" "$1" "$line")
    elif [[ $1 == *ipvsadm ]] && ((${#words[@]} == 2)); then
        text=$(_ipvsadm_options commands)
    else
        text=$(_ipvsadm_options "$command")
    fi

    # Do not repeat the part that Bash considers a separate word.
    local word list there=""
    for word in : =; do
        if [[ $COMP_WORDBREAKS == *"$word"* && $cur == *"$word"* ]]; then
            line=${cur%"${cur##*"$word"}"}
            ((${#line} > ${#there})) && there=$line
        fi
    done
    COMPREPLY=()
    read -rd '' -a list <<<"$text"
    for word in "${list[@]}"; do
        word=$before$word
        [[ $word == "$cur"* ]] && COMPREPLY+=("${word#"$there"}")
    done
}

complete -F _ipvsadm ipvsadm ipvsadm-save ipvsadm-restore
