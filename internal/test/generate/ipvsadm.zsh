#compdef ipvsadm ipvsadm-save ipvsadm-restore
#@ header

# _ipvsadm_modules offers what comes after ip_vs_ in the names of modules that
# the kernel has or can load, as far as it is like a pattern.
_ipvsadm_modules() { # prefix
    local expl folder=/lib/modules/$(uname -r)
    local -a names
    names=(${(f)"$({
        cat /proc/modules $folder/modules.builtin
        print -rl -- $folder/kernel/net/netfilter/ipvs/*(N)
    } 2>/dev/null | sed -nE '@modules@' | sort -u)"})
    case $1 in
    scheduler) names=(${(f)"$(print -rl -- $names | grep -vxE '@others@')"}) ;;
    engine) names=(${${(M)names:#pe_*}#pe_}) ;;
    esac
    _wanted names expl $1 compadd -- $names
}

_ipvsadm_netns() {
    local expl
    _wanted namespaces expl 'network namespace' compadd -- /run/netns/*(N:t)
}

# _ipvsadm_table offers the addresses behind an option in the table of the
# namespace that the line names: real servers of a service on the line; a new
# one is likely to be one of another service.
_ipvsadm_table() { # option
    local expl line=" ${(Q)words} "
    (( EUID == 0 )) && [[ -e /proc/net/ip_vs ]] || return
    [[ $words[1] == (-a|--add-server) ]] && line=
    _wanted addresses expl address compadd -- ${(f)"$($ipvsadm $netns -Sn 2>/dev/null |
        awk -v option=$1 -v line=$line '@table@' | sort -u)"}
}

_ipvsadm() {
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
        # The namespace may stand before the command.
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
            _describe -o command options
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
