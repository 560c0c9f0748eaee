#@ header

function __ipvsadm_is -d 'Is the command that has been typed one of these?'
    set -l words (commandline -opc)
    # The namespace may precede the command.
    switch "$words[2]"
        case --netns
            set -e words[2 3]
        case '--netns=*'
            set -e words[2]
    end
    # Options may share the command's dash, including the word being typed.
    if test (count $words) = 1
        set -a words (commandline -ct | string match -r '^-[^-].*')
    end
    set -l command other
    switch "$words[2]"
        case ''
            set command none
#@ commands
    end
    contains -- $command $argv
end

function __ipvsadm_modules -d 'What comes after ip_vs_ in the names of modules'
    set -l folder /lib/modules/(uname -r)
    begin
        cat /proc/modules $folder/modules.builtin
        printf '%s\n' $folder/kernel/net/netfilter/ipvs/*
    end 2>/dev/null | sed -nE '@modules@' | sort -u
end

function __ipvsadm_schedulers -d 'The schedulers of the kernel'
    set -l names (__ipvsadm_modules | grep -vxE '@others@')
    test -n "$names"; or set names @schedulers@
    for name in $names
        set -l about ''
        switch $name
#@ schedulers
        end
        printf '%s\t%s\n' $name $about
    end
end

function __ipvsadm_engines -d 'The persistence engines of the kernel'
    __ipvsadm_modules | sed -n 's/^pe_//p'
end

function __ipvsadm_flags -d 'The scheduler flags that are left and fit'
    set -l typed (commandline -ct | string replace -r -- '^(--[a-z-]+=|-b)' '' | string match -r -- '^.*,')
    set -l words (commandline -opc)
    printf '%s\n' "$typed"(awk -v line="$words" -v typed="$typed" '@flags@')
end

function __ipvsadm_netns -d 'The namespace that the line names, as an option'
    set -l words (commandline -opc)
    string replace -rf -- '^.* --netns[= ](\S+).*$' '--netns=$1' "$words"
end

function __ipvsadm_clients -d 'The clients of some connections'
    test (id -u) = 0 -a -e /proc/net/ip_vs; or return
    set -l words (commandline -opc)
    $words[1] (__ipvsadm_netns) -Lnc 2>/dev/null | head -n 1000 | awk '@clients@' | sort -u
end

function __ipvsadm_table -a option -d 'The addresses behind an option in the table of the namespace'
    test (id -u) = 0 -a -e /proc/net/ip_vs; or return
    set -l words (commandline -opc)
    # A new server is probably a server of another service.
    set -l line " $words "
    __ipvsadm_is add-server; and set line ''
    $words[1] (__ipvsadm_netns) -Sn 2>/dev/null | awk -v option=$option -v line=$line '@table@' | sort -u
end

for program in ipvsadm ipvsadm-save ipvsadm-restore
    complete -c $program -f
end
#@ options
