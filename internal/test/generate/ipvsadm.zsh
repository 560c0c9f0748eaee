#compdef ipvsadm ipvsadm-save ipvsadm-restore -subscript-
#@ header

# _ipvsadm_modules prints the part after ip_vs_ of the names of modules that
# the kernel has or can load.
_ipvsadm_modules() {
    local folder=/lib/modules/$(uname -r)
    {
        cat /proc/modules $folder/modules.builtin
        print -rl -- $folder/kernel/net/netfilter/ipvs/*(N)
    } 2>/dev/null | sed -nE '@modules@' | sort -u
}

# _ipvsadm_schedulers offers the kernel's schedulers, or all if it does not
# show which it has.
_ipvsadm_schedulers() {
    local name
    local -a names=(${(f)"$(_ipvsadm_modules | grep -vxE '@others@')"}) described
    local -A about=(
#@ schedulers
    )
    (( $#names )) || names=(@schedulers@)
    for name in $names; do
        described+=("$name${about[$name]:+:$about[$name]}")
    done
    _describe -V scheduler described
}

_ipvsadm_engines() {
    local expl
    local -a names=(${(f)"$(_ipvsadm_modules)"})
    _wanted engines expl 'persistence engine' compadd -- ${${(M)names:#pe_*}#pe_}
}

# _ipvsadm_flags offers the remaining scheduler flags that are valid.
_ipvsadm_flags() {
    local expl typed=
    [[ $PREFIX == *,* ]] && typed=${PREFIX%,*}
    compset -P '*,'
    _wanted flags expl 'scheduler flag' compadd -S '' -- ${(f)"$(awk -v line="${(Q)words}" -v typed=$typed '@flags@')"}
}

# _ipvsadm_clients offers the clients of up to 1000 connections.
_ipvsadm_clients() {
    local expl
    (( EUID == 0 )) && [[ -e /proc/net/ip_vs ]] || return
    _wanted clients expl client compadd -- ${(f)"$($ipvsadm $netns -Lnc 2>/dev/null | head -n 1000 | awk '@clients@' | sort -u)"}
}

_ipvsadm_netns() {
    local expl
    _wanted namespaces expl 'network namespace' compadd -- /run/netns/*(N:t)
}

# _ipvsadm_table offers the addresses after an option in the table of the
# line's namespace: real servers of the line's service; a new server is
# probably a server of another service.
_ipvsadm_table() { # option
    local expl line=" ${(Q)words} "
    local -a found quoted
    (( EUID == 0 )) && [[ -e /proc/net/ip_vs ]] || return
    [[ $words[1] == (-a|--add-server) ]] && line=
    found=(${(f)"$($ipvsadm $netns -Sn 2>/dev/null | awk -v option=$1 -v line=$line '@table@' | sort -u)"})
    if [[ $compstate[context] == subscript ]]; then
        found=(${${(M)found:#\[*}#\[}) quoted=(-Q)
    fi
    _wanted addresses expl address compadd $quoted -- $found
}

_ipvsadm() {
    # zsh takes the bracket of an IPv6 address at the start of a word for a
    # subscript. It would also expand it: quote it, or alias ipvsadm to
    # "noglob ipvsadm".
    if [[ $compstate[context] == subscript ]]; then
        words=(${(z)LBUFFER##*[;|&]})
        while (( $#words )) && [[ ${words[1]:t} != ipvsadm ]]; do
            shift words
        done
        if [[ -n $compstate[parameter] ]] || (( $#words < 2 )); then
            _subscript "$@"
            return
        fi
        CURRENT=$#words
        local service=ipvsadm
    fi
    local ipvsadm=${(Q)words[1]} command=$service
    local -a options netns
    local -i i
    for (( i = 2; i < CURRENT; i++ )); do
        case $words[i] in
        --netns) (( i + 1 < CURRENT )) && netns=(--netns=${(Q)words[i+1]}) ;;
        --netns=*) netns=(${(Q)words[i]}) ;;
        esac
    done
    if [[ $service == ipvsadm ]]; then
        # The namespace may precede the command.
        if [[ $words[2] == --netns ]] && (( CURRENT > 3 )); then
            words[2,3]=()
            (( CURRENT -= 2 ))
        elif [[ $words[2] == --netns=* ]] && (( CURRENT > 2 )); then
            words[2]=()
            (( CURRENT-- ))
        elif [[ $words[2] == --netns ]] && (( CURRENT == 3 )) || compset -P --netns=; then
            _ipvsadm_netns
            return
        fi
        if (( CURRENT == 2 )); then
            options=(
#@ commands
            )
            _describe command options
            return
        fi
        # Options may share the command's dash.
        if [[ $words[2] == -[^-]?* ]]; then
            words[2]=(${words[2][1,2]} -${words[2][3,-1]})
            (( CURRENT++ ))
        fi
        shift words
        (( CURRENT-- ))
        command=$words[1]
    fi
    case $command in
#@ options
    esac
    _arguments -s $options
}

_ipvsadm "$@"
