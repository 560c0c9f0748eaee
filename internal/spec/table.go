// SPDX-License-Identifier: Apache-2.0

package spec

import "slices"

// OptionID identifies a row of Options.
type OptionID uint8

// The options: those of 1.31 in the order in which it checks whether the
// command takes them, then our own.
const (
	OptNumeric OptionID = iota
	OptConnection
	OptTCPService
	OptUDPService
	OptSCTPService
	OptFWMarkService
	OptIPv6
	OptScheduler
	OptPersistent
	OptNetmask
	OptRealServer
	OptGatewaying
	OptIPIP
	OptMasquerading
	OptWeight
	OptUThreshold
	OptLThreshold
	OptMcastInterface
	OptTimeout
	OptDaemon
	OptStats
	OptRate
	OptThresholds
	OptPersistentConn
	OptNoSort
	OptSort
	OptSyncID
	OptExact
	OptOnePacket
	OptPersistenceEngine
	OptSchedFlags
	OptMcastGroup
	OptMcastPort
	OptMcastTTL
	OptSyncMaxLen
	OptTunnelInfo
	OptTunnelType
	OptTunnelPort
	OptTunnelNoCsum
	OptTunnelCsum
	OptTunnelRemCsum
	OptAll
	OptOutput
	OptStrict
	OptKeepGoing
	OptCheck
	OptDryRun
	OptLock
	OptNetNS
	OptUpdate
	OptKeep
	OptExist
	OptDrain
	OptDiff
	OptMerge
	OptJSON
	OptMetrics
	OptClient
	OptState
	OptTimestamp
	OptWide
	OptSnapshot
	optionCount
)

// AllOptions contains every option.
const AllOptions Set = 1<<optionCount - 1

// Sets of which only one option may be given. Messages have a name for each,
// see Option.Alternatives.
const (
	ServiceAddress   Set = 1<<OptTCPService | 1<<OptUDPService | 1<<OptSCTPService | 1<<OptFWMarkService | 1<<OptIPv6
	ForwardingMethod Set = 1<<OptGatewaying | 1<<OptIPIP | 1<<OptMasquerading
)

// Uncounted are the options that 1.31 accepts any number of times, and with
// any command.
const Uncounted Set = 1<<OptIPv6 | 1<<OptSort

// OnlyAccepted are the options that have no effect on a list.
const OnlyAccepted Set = 1<<OptSort | 1<<OptSyncID

// Global are the options that every command takes, before it or after it. A
// line of rule text may not have them.
const Global Set = 1 << OptNetNS

// Existing are the options that depend on entries in the table.
const Existing Set = 1<<OptKeep | 1<<OptExist | 1<<OptDrain

// TunnelOptions are the options that only a tunneled real server takes.
const TunnelOptions Set = 1<<OptTunnelType | 1<<OptTunnelPort | 1<<OptTunnelNoCsum | 1<<OptTunnelCsum | 1<<OptTunnelRemCsum

const maxInt32 = 1<<31 - 1

// Section is a part of the help and of the manual, and an index of Sections.
type Section uint8

// The sections. Those with options that 1.31 lacks are last.
const (
	ServiceSection Section = iota
	ServiceSettings
	ServerSettings
	DaemonSection
	ListSection
	ChangeSection
	MoreListSection
	MonitorSection
	SaveSection
	RestoreSection
	GlobalSection
)

// Sections are the titles of the sections, each with an example, which can be
// run after the examples before it.
var Sections = [...]struct{ Title, Example string }{
	ServiceSection:  {"Virtual service", "ipvsadm -L -t 12.0.0.1:80"},
	ServiceSettings: {"Settings of a virtual service", "ipvsadm -A -t 12.0.0.1:443 -s wlc -p 600"},
	ServerSettings:  {"Settings of a real server", "ipvsadm -a -t 12.0.0.1:80 -r 192.168.168.10:8080 -m -w 3"},
	DaemonSection:   {"Sync daemons", "ipvsadm --start-daemon master --mcast-interface eth1"},
	ListSection:     {"Lists", "ipvsadm -Ln --rate"},
	ChangeSection:   {"More for changes", "ipvsadm -d -t 12.0.0.1:80 -r 192.168.168.10:8080 --drain 60"},
	MoreListSection: {"More for lists", "ipvsadm -Lnc --client 10.1.0.0/16 --state established"},
	MonitorSection:  {"Monitor", "ipvsadm --monitor --timestamp"},
	SaveSection:     {"Saves", "ipvsadm -Sn --all --output /etc/ipvsadm.rules"},
	RestoreSection:  {"Restores", "ipvsadm --apply --dry-run /etc/ipvsadm.rules"},
	GlobalSection:   {"Every command", "ipvsadm --netns blue -Ln"},
}

// Options is the table of options, in the order in which the help shows them.
var Options = [...]Option{
	{ID: OptTCPService, Section: ServiceSection, Word: Word{Long: "tcp-service", Short: 't', Value: RequiredValue, Arg: "address",
		Help: "TCP service: host:port or [host]:port", Noun: "virtual server address[:port]", Kind: TCPAddress}},
	{ID: OptUDPService, Section: ServiceSection, Word: Word{Long: "udp-service", Short: 'u', Value: RequiredValue, Arg: "address",
		Help: "UDP service: host:port or [host]:port", Noun: "virtual server address[:port]", Kind: UDPAddress}},
	{ID: OptSCTPService, Section: ServiceSection, Word: Word{Long: "sctp-service", Value: RequiredValue, Arg: "address",
		Help: "SCTP service: host:port or [host]:port", Noun: "virtual server address[:port]", Kind: SCTPAddress}},
	{ID: OptFWMarkService, Section: ServiceSection, Word: Word{Long: "fwmark-service", Short: 'f', Value: RequiredValue, Arg: "mark",
		Help:    "firewall mark of the packets",
		Details: "Packets get the mark from a firewall rule, see FIREWALL MARKS.",
		Noun:    "fwmark", Min: 1, Max: 1<<32 - 1, Kind: MarkValue}},
	{ID: OptIPv6, Section: ServiceSection, Word: Word{Long: "ipv6", Short: '6',
		Help: "mark of IPv6 packets (after -f)"}},
	{ID: OptScheduler, Section: ServiceSettings, Word: Word{Long: "scheduler", Short: 's', Value: RequiredValue, Arg: "name",
		Help:    "scheduler (default wlc)",
		Details: "See SCHEDULERS.",
		Kind:    SchedulerName, Choices: Schedulers[:]}},
	{ID: OptSchedFlags, Section: ServiceSettings, Word: Word{Long: "sched-flags", Short: 'b', Value: RequiredValue, Arg: "flags",
		Help:    "scheduler flags, separated by commas",
		Details: "See SCHEDULERS.",
		Kind:    FlagList, Choices: SchedulerFlags[:]}},
	{ID: OptPersistenceEngine, Section: ServiceSettings, Word: Word{Long: "pe", Value: RequiredValue, Arg: "engine",
		Help:    "persistence engine",
		Details: "It makes packets of one SIP call go to one server by the Call-ID, and needs `-p` and UDP.",
		Kind:    EngineName, Choices: PersistenceEngines[:]}},
	{ID: OptPersistent, Section: ServiceSettings, Word: Word{Long: "persistent", Short: 'p', Value: OptionalValue, Default: "360", Arg: "seconds",
		Help:    "persistence timeout in seconds (default 360)",
		Details: "For this long after its last connection, a client gets the same server again, see PERSISTENCE.",
		Noun:    "timeout", Min: 1, Max: maxTimeout}},
	{ID: OptNetmask, Section: ServiceSettings, Word: Word{Long: "netmask", Short: 'M', Value: RequiredValue, Arg: "mask",
		Help:    "persistence netmask: clients of one network share a server (default 255.255.255.255; IPv6: prefix length, default 128)",
		Details: "With `-M 255.255.255.0` the persistent clients of a /24 network get one server, with `-M 64` those of an IPv6 /64. It has an effect with `-p` only.",
		Noun:    "virtual server persistent mask",
		Min:     1, Max: 128}},
	{ID: OptOnePacket, Section: ServiceSettings, Word: Word{Long: "ops", Short: 'o',
		Help:    "one-packet scheduling (UDP)",
		Details: "Each packet is scheduled on its own and leaves no connection behind, for protocols with one request and one answer, such as DNS. With `-f` it applies to the UDP packets of the mark."}},
	{ID: OptRealServer, Section: ServerSettings, Word: Word{Long: "real-server", Short: 'r', Value: RequiredValue, Arg: "address",
		Help: "real server: host, host:port or [host]:port", Noun: "real server address[:port]", Kind: ServerAddress}},
	{ID: OptGatewaying, Section: ServerSettings, Word: Word{Long: "gatewaying", Short: 'g',
		Help:    "direct routing (default)",
		Details: "See FORWARDING METHODS."}},
	{ID: OptIPIP, Section: ServerSettings, Word: Word{Long: "ipip", Short: 'i',
		Help:    "IP tunneling",
		Details: "See FORWARDING METHODS."}},
	{ID: OptMasquerading, Section: ServerSettings, Word: Word{Long: "masquerading", Short: 'm',
		Help:    "NAT (masquerading)",
		Details: "See FORWARDING METHODS."}},
	{ID: OptTunnelType, Section: ServerSettings, Word: Word{Long: "tun-type", Value: RequiredValue, Arg: "type",
		Help: "tunnel type (default ipip)", Noun: "tunnel type", Choices: TunnelTypes[:]}},
	{ID: OptTunnelPort, Section: ServerSettings, Word: Word{Long: "tun-port", Value: RequiredValue, Arg: "port",
		Help: "UDP port of a gue tunnel", Noun: "tunnel port", Min: 1, Max: 65535}},
	{ID: OptTunnelNoCsum, Section: ServerSettings, Word: Word{Long: "tun-nocsum",
		Help: "no tunnel checksum (gue, gre; default)"}},
	{ID: OptTunnelCsum, Section: ServerSettings, Word: Word{Long: "tun-csum",
		Help: "tunnel checksum (gue, gre)"}},
	{ID: OptTunnelRemCsum, Section: ServerSettings, Word: Word{Long: "tun-remcsum",
		Help: "remote tunnel checksum (gue)"}},
	{ID: OptWeight, Section: ServerSettings, Word: Word{Long: "weight", Short: 'w', Value: RequiredValue, Arg: "number",
		Help:    "weight, 0 to 2147483647 (default 1); 0 drains the server",
		Details: "With schedulers that use weights, it is the server's share of new connections in proportion to the other servers. A server of weight 0 gets no new connections and keeps those that it has. REMOVING SERVERS lists the exceptions.",
		Noun:    "weight", Max: maxInt32}},
	{ID: OptUThreshold, Section: ServerSettings, Word: Word{Long: "u-threshold", Short: 'x', Value: RequiredValue, Arg: "number",
		Help:    "upper connection threshold, 0 to 2147483647: no new connections at or above it (default 0, none)",
		Details: "Active and inactive connections count.",
		Noun:    "u_threshold", Max: maxInt32}},
	{ID: OptLThreshold, Section: ServerSettings, Word: Word{Long: "l-threshold", Short: 'y', Value: RequiredValue, Arg: "number",
		Help:    "lower connection threshold, 0 to 2147483647: new connections again below it (default three quarters of -x)",
		Details: "It may not exceed `-x`.",
		Noun:    "l_threshold", Max: maxInt32}},
	{ID: OptKeep, Section: ChangeSection, Word: Word{Long: "keep",
		Help:    "keep settings that are not given",
		Details: "Without it, `-e -w 0` turns a masqueraded server into a routed one.",
		Since:   "0.1.0"}},
	{ID: OptExist, Section: ChangeSection, Word: Word{Long: "exist",
		Help:    "edit an existing entry; ignore a missing one when deleting",
		Details: "With `-A` and `-a` all settings of an existing entry are replaced; with `-D` and `-d` a missing one is no error.",
		Since:   "0.1.0"}},
	{ID: OptDrain, Section: ChangeSection, Word: Word{Long: "drain", Value: RequiredValue, Arg: "seconds",
		Help:    "stop new connections, wait this many seconds for the others to end, then delete",
		Details: "See REMOVING SERVERS in ipvsadm(8).",
		Noun:    "drain time", Max: maxTimeout, Since: "0.1.0", CommandLine: true}},
	{ID: OptConnection, Section: ListSection, Word: Word{Long: "connection", Short: 'c',
		Help:    "connections: all, or those of a service",
		Details: "See Connections below LISTS."}},
	{ID: OptClient, Section: MoreListSection, Word: Word{Long: "client", Value: RequiredValue, Arg: "address[/length]",
		Help: "only connections of a client or a network", Details: "IPv6 may have brackets.", Noun: "client address[/length]", Kind: ClientAddress, Since: "0.1.0"}},
	{ID: OptState, Section: MoreListSection, Word: Word{Long: "state", Value: RequiredValue, Arg: "name",
		Help: "only connections in a state, such as ESTABLISHED (any case)", Noun: "connection state", Choices: ConnectionStates[:], Since: "0.1.0"}},
	{ID: OptTimeout, Section: ListSection, Word: Word{Long: "timeout",
		Help: "connection timeouts"}},
	{ID: OptDaemon, Section: ListSection, Word: Word{Long: "daemon",
		Help: "sync daemons"}},
	{ID: OptStats, Section: ListSection, Word: Word{Long: "stats",
		Help:    "connections, packets and bytes since the last --zero",
		Details: "Columns: Conns, connections; InPkts and InBytes from clients; OutPkts and OutBytes to clients, which the director sees with `-m` only."}},
	{ID: OptRate, Section: ListSection, Word: Word{Long: "rate",
		Help:    "connections, packets and bytes per second",
		Details: "Columns: CPS, new connections; InPPS and InBPS, packets and bytes from clients; OutPPS and OutBPS to clients, which the director sees with `-m` only. The kernel computes a moving average every two seconds."}},
	{ID: OptExact, Section: ListSection, Word: Word{Long: "exact", Short: 'X',
		Help: "exact numbers, without K, M, G or T"}},
	{ID: OptThresholds, Section: ListSection, Word: Word{Long: "thresholds",
		Help:    "connection thresholds of the servers",
		Details: "Columns: Uthreshold and Lthreshold, ActiveConn, InActConn."}},
	{ID: OptPersistentConn, Section: ListSection, Word: Word{Long: "persistent-conn",
		Help:    "persistent connections of the servers",
		Details: "Columns: weight, PersistConn, ActiveConn, InActConn. With `-c`: the data of the persistence engine."}},
	{ID: OptTunnelInfo, Section: ListSection, Word: Word{Long: "tun-info",
		Help: "tunnel settings of the servers"}},
	{ID: OptNoSort, Section: ListSection, Word: Word{Long: "nosort",
		Help:    "do not sort",
		Details: "Entries are in the order of the kernel's hash table."}},
	{ID: OptSort, Section: ListSection, Word: Word{Long: "sort",
		Help: "sort (default; no effect)"}},
	{ID: OptNumeric, Section: ListSection, Word: Word{Long: "numeric", Short: 'n',
		Help: "numeric addresses and ports, no name lookups"}},
	{ID: OptWide, Section: MoreListSection, Word: Word{Long: "wide",
		Help: "columns as wide as their content", Since: "0.1.0"}},
	{ID: OptJSON, Section: MoreListSection, Word: Word{Long: "json",
		Help: "JSON, always numeric; with --apply: read the file as JSON", Since: "0.1.0"}},
	{ID: OptMetrics, Section: MoreListSection, Word: Word{Long: "metrics",
		Help: "Prometheus text format, always numeric", Since: "0.1.0"}},
	{ID: OptTimestamp, Section: MonitorSection, Word: Word{Long: "timestamp",
		Help: "time before each change", Since: "0.1.0"}},
	{ID: OptSnapshot, Section: MonitorSection, Word: Word{Long: "snapshot",
		Help:    "print the whole table first, so that the output is a journal",
		Details: "It begins with `-C` and the commands that make the table. Its commands up to any line restore the table of that moment.",
		Since:   "0.2.0"}},
	{ID: OptSyncID, Section: DaemonSection, Word: Word{Long: "syncid", Value: RequiredValue, Arg: "number",
		Help:    "sync group, 0 to 255 (default 0)",
		Details: "A master sends it in each message. A backup ignores messages of other groups; with `--syncid 0` it accepts all.",
		Noun:    "syncid", Max: 255}},
	{ID: OptSyncMaxLen, Section: DaemonSection, Word: Word{Long: "sync-maxlen", Value: RequiredValue, Arg: "bytes",
		Help:    "maximum length of a sync message, the payload of UDP (default 1472, over IPv6 1452)",
		Details: "Set it on a master if the path to its backups has an MTU below 1500. A backup must accept messages as long as those of its master; by default it accepts the MTU of its interface less headers, at least a master's default.",
		Noun:    "sync-maxlen", Min: 1, Max: 65507}},
	{ID: OptMcastInterface, Section: DaemonSection, Word: Word{Long: "mcast-interface", Value: RequiredValue, Arg: "interface",
		Help: "interface for sync messages (default eth0)", Kind: InterfaceName}},
	{ID: OptMcastGroup, Section: DaemonSection, Word: Word{Long: "mcast-group", Value: RequiredValue, Arg: "address",
		Help: "multicast group, IPv4 or IPv6 (default 224.0.0.81)"}},
	{ID: OptMcastPort, Section: DaemonSection, Word: Word{Long: "mcast-port", Value: RequiredValue, Arg: "port",
		Help: "UDP port of the multicast group (default 8848)", Noun: "mcast-port", Min: 1, Max: 65535}},
	{ID: OptMcastTTL, Section: DaemonSection, Word: Word{Long: "mcast-ttl", Value: RequiredValue, Arg: "hops",
		Help: "TTL of sync messages (default 1)", Noun: "mcast-ttl", Min: 1, Max: 255}},
	{ID: OptAll, Section: SaveSection, Word: Word{Long: "all",
		Help: "save timeouts and sync daemons as well", Since: "0.1.0"}},
	{ID: OptOutput, Section: SaveSection, Word: Word{Long: "output", Value: RequiredValue, Arg: "file",
		Help: "write to a file, replaced as a whole where possible (-: standard output)", Kind: FileName, Since: "0.1.0"}},
	{ID: OptUpdate, Section: SaveSection, Word: Word{Long: "update", Value: RequiredValue, Arg: "file",
		Help: "like --output, but keep the timeouts and sync daemons of the file current; never write an empty table", Kind: FileName, Since: "0.1.0"}},
	{ID: OptStrict, Section: RestoreSection, Word: Word{Long: "strict",
		Help: "all or nothing, as with a file: if a line is refused, the table stays as it was", Since: "0.1.0"}},
	{ID: OptKeepGoing, Section: RestoreSection, Word: Word{Long: "keep-going",
		Help: "leave out lines that are faulty or refused, apply the rest", Since: "0.1.0"}},
	{ID: OptCheck, Section: RestoreSection, Word: Word{Long: "check",
		Help: "check the file only; needs neither root nor ip_vs", Since: "0.1.0"}},
	{ID: OptDryRun, Section: RestoreSection, Word: Word{Long: "dry-run",
		Help: "print the changes as commands instead of making them", Since: "0.1.0"}},
	{ID: OptDiff, Section: RestoreSection, Word: Word{Long: "diff",
		Help: "print the changes as a unified diff instead of making them; status 1 if there are any", Since: "0.1.0"}},
	{ID: OptMerge, Section: RestoreSection, Word: Word{Long: "merge",
		Help: "keep virtual services that the file does not mention", Since: "0.1.0"}},
	{ID: OptLock, Section: RestoreSection, Word: Word{Long: "lock", Value: RequiredValue, Arg: "file",
		Help: "lock file that serializes restores (default /run/ipvsadm.lock)", Kind: FileName, Since: "0.1.0"}},
	{ID: OptNetNS, Section: GlobalSection, Word: Word{Long: "netns", Value: RequiredValue, Arg: "namespace",
		Help: "network namespace: name of ip netns, path or process ID", Noun: "network namespace", Kind: NamespaceName, Since: "0.1.0", CommandLine: true}},
}

// maxTimeout is the longest timeout in seconds that 1.31 accepts: 31 days.
const maxTimeout = 31 * 24 * 3600

// TimeoutMax bounds the arguments of the command set, in seconds.
const TimeoutMax = maxTimeout

// CommandID identifies a row of Commands.
type CommandID uint8

// The commands.
const (
	AddService CommandID = iota + 1
	EditService
	DeleteService
	Flush
	Restore
	Apply
	Save
	AddServer
	EditServer
	DeleteServer
	List
	Monitor
	Doctor
	Watch
	Zero
	SetTimeouts
	StartDaemon
	StopDaemon
	Help
	Version
)

const (
	serviceOptions = 1<<OptScheduler | 1<<OptPersistent | 1<<OptNetmask | 1<<OptOnePacket | 1<<OptPersistenceEngine | 1<<OptSchedFlags
	serverOptions  = ForwardingMethod | 1<<OptWeight | 1<<OptUThreshold | 1<<OptLThreshold | TunnelOptions
	theServer      = ServiceAddress | 1<<OptRealServer
	listOptions    = 1<<OptNumeric | 1<<OptStats | 1<<OptRate | 1<<OptThresholds | 1<<OptPersistentConn | 1<<OptNoSort | 1<<OptSort | 1<<OptSyncID | 1<<OptExact | 1<<OptTunnelInfo | 1<<OptWide
	listAlways     = 1<<OptNumeric | 1<<OptWide
	listOther      = 1<<OptTimeout | 1<<OptDaemon | 1<<OptMetrics
	daemonOptions  = 1<<OptMcastInterface | 1<<OptSyncID | 1<<OptMcastGroup | 1<<OptMcastPort | 1<<OptMcastTTL | 1<<OptSyncMaxLen
)

// Commands is the table of commands, in the order in which the help shows
// them.
var Commands = [...]Command{
	{ID: AddService, Name: "add-service", Word: Word{Long: "add-service", Short: 'A',
		Help: "add a virtual service"},
		Rule: Rule{Required: ServiceAddress, Allowed: serviceOptions | 1<<OptExist}},
	{ID: EditService, Name: "edit-service", Word: Word{Long: "edit-service", Short: 'E',
		Help: "replace all settings of a virtual service; those not given get their defaults (see --keep)"},
		Rule: Rule{Required: ServiceAddress, Allowed: serviceOptions | 1<<OptKeep}},
	{ID: DeleteService, Name: "delete-service", Word: Word{Long: "delete-service", Short: 'D',
		Help: "delete a virtual service and its servers"},
		Rule: Rule{Required: ServiceAddress, Allowed: 1<<OptExist | 1<<OptDrain}},
	{ID: Flush, Name: "flush", Word: Word{Long: "clear", Short: 'C', Help: "delete all virtual services"}},
	{ID: Restore, Name: "restore", Word: Word{Long: "restore", Short: 'R',
		Help: "run the commands on standard input, one per line", CommandLine: true}},
	{ID: Apply, Name: "apply", MaxArgs: 1, Word: Word{Long: "apply", Arg: "[file]",
		Help: "change the table to match a file, with the fewest changes", Kind: FileName, Since: "0.1.0", CommandLine: true},
		Rule: Rule{Allowed: 1<<OptNumeric | 1<<OptLock | 1<<OptMerge | 1<<OptDrain | 1<<OptJSON,
			OneOf: []Set{1<<OptStrict | 1<<OptKeepGoing, 1<<OptCheck | 1<<OptDryRun | 1<<OptDiff}}},
	{ID: Save, Name: "save", Word: Word{Long: "save", Short: 'S',
		Help: "print the table as commands for --restore"},
		Rule: Rule{Allowed: 1<<OptNumeric | 1<<OptAll, OneOf: []Set{1<<OptOutput | 1<<OptUpdate}}},
	{ID: AddServer, Name: "add-server", Word: Word{Long: "add-server", Short: 'a',
		Help: "add a real server to a virtual service"},
		Rule: Rule{Required: theServer, Allowed: serverOptions | 1<<OptExist}},
	{ID: EditServer, Name: "edit-server", Word: Word{Long: "edit-server", Short: 'e',
		Help: "replace all settings of a real server; those not given get their defaults (see --keep)"},
		Rule: Rule{Required: theServer, Allowed: serverOptions | 1<<OptKeep, With: []With{{OptKeep, 1 << OptDrain}}}},
	{ID: DeleteServer, Name: "delete-server", Word: Word{Long: "delete-server", Short: 'd',
		Help: "delete a real server from a virtual service"},
		Rule: Rule{Required: theServer, Allowed: 1<<OptExist | 1<<OptDrain}},
	{ID: List, Name: "list", Word: Word{Long: "list", Short: 'L', Alias: 'l',
		Help: "list the table, or one virtual service"},
		Rule: Rule{Allowed: listOptions, OneOf: []Set{1<<OptConnection | listOther, ServiceAddress | listOther, 1<<OptJSON | 1<<OptMetrics},
			With: []With{{OptConnection, 1<<OptRealServer | 1<<OptClient | 1<<OptState}, {OptMetrics, 1 << OptOutput}}},
		Forms: []Form{
			{Takes: ServiceAddress | listOptions&^OnlyAccepted | 1<<OptJSON},
			{Needs: 1 << OptConnection, Takes: ServiceAddress | 1<<OptRealServer | 1<<OptClient | 1<<OptState | 1<<OptPersistentConn | listAlways | 1<<OptJSON},
			{Needs: 1<<OptTimeout | 1<<OptDaemon, Takes: 1 << OptJSON},
			{Needs: 1 << OptMetrics, Takes: 1 << OptOutput},
		}},
	{ID: Monitor, Name: "monitor", Word: Word{Long: "monitor", Value: OptionalValue, Default: "1", Arg: "seconds", Noun: "interval",
		Help: "print changes of the table as commands; interval in seconds, at least 0.1 (default 1)", Since: "0.1.0", CommandLine: true},
		Rule: Rule{Allowed: ServiceAddress | 1<<OptJSON | 1<<OptTimestamp | 1<<OptSnapshot}},
	{ID: Doctor, Name: "doctor", MaxArgs: 1, Word: Word{Long: "doctor", Arg: "[file]",
		Help: "diagnose what keeps this director from balancing, or would with the table of a file", Kind: FileName, Since: "0.1.0", CommandLine: true},
		Rule: Rule{Allowed: 1 << OptJSON}},
	{ID: Watch, Name: "watch", Word: Word{Long: "watch", Value: OptionalValue, Default: "2", Arg: "seconds", Noun: "interval",
		Help: "live screen of the table with rates; interval in seconds, at least 0.1 (default 2)", Since: "0.1.0", CommandLine: true},
		Rule: Rule{Allowed: ServiceAddress}},
	{ID: Zero, Name: "zero", Word: Word{Long: "zero", Short: 'Z',
		Help: "zero the counters of all virtual services, or of one"},
		Rule: Rule{Allowed: ServiceAddress}},
	{ID: SetTimeouts, Name: "set", MaxArgs: 3, Word: Word{Long: "set", Arg: "tcp tcpfin udp",
		Help:    "set the timeouts of TCP, of closing TCP connections (after a FIN) and of UDP, in seconds (0: no change)",
		Details: "A timeout is how long the director remembers a connection after its last packet: the first value applies to established TCP connections, the second to TCP connections in FIN_WAIT, the third to UDP. `--set 900 120 300` sets the kernel's defaults. A connection gets the new value with its next packet. AT BOOT describes how to keep the values."}},
	{ID: StartDaemon, Name: "start-daemon", Word: Word{Long: "start-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "start a sync daemon", Details: "See SYNC DAEMONS.", Noun: "start-daemon parameter", Choices: daemonRoles[:]},
		Rule: Rule{Allowed: daemonOptions}},
	{ID: StopDaemon, Name: "stop-daemon", Word: Word{Long: "stop-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "stop a sync daemon", Noun: "start_daemon", Choices: daemonRoles[:]},
		Rule: Rule{Allowed: 1 << OptSyncID}},
	{ID: Help, Name: "help", Word: Word{Long: "help", Short: 'h',
		Help: "show a summary of commands and options"}},
	{ID: Version, Name: "version", Word: Word{Long: "version", Short: 'v', Help: "show the version"}},
}

// Schedulers are the known schedulers. A kernel may lack some.
var Schedulers = [...]Choice{
	{"rr", "round robin"},
	{"wrr", "round robin by weight"},
	{"lc", "fewest connections"},
	{"wlc", "fewest connections in proportion to the weight (default)"},
	{"lblc", "one server for each destination address unless it is overloaded, for caches"},
	{"lblcr", "several servers for each destination address, for caches"},
	{"dh", "hash of the destination address"},
	{"sh", "hash of the source address"},
	{"sed", "shortest expected delay"},
	{"nq", "never queue: an idle server, else the shortest expected delay"},
	{"fo", "failover: the highest weight"},
	{"ovf", "overflow: the highest weight with no more active connections than that"},
	{"mh", "Maglev hash of the source address: few clients move when servers change"},
	{"twos", "the less loaded of two servers picked at random by weight"},
}

// IsScheduler reports whether a kernel may have a scheduler of this name.
func IsScheduler(name string) bool { return slices.Contains(Names(Schedulers[:]), name) }

// SchedulerFlags are the names of scheduler flags. Only sh and mh use theirs.
var SchedulerFlags = [...]Choice{
	{"sh-fallback", "sh: another server while the hashed one has weight 0 or is overloaded"},
	{"sh-port", "sh: hash the source port as well"},
	{"mh-fallback", "mh: another server while the hashed one has weight 0 or is overloaded"},
	{"mh-port", "mh: hash the source port as well"},
	{"flag-1", "first flag of any other scheduler"},
	{"flag-2", "second flag of any other scheduler"},
	{"flag-3", "third flag of any scheduler"},
}

// flagOf has the bit of each of SchedulerFlags, and its scheduler; "" means
// any.
var flagOf = [len(SchedulerFlags)]struct {
	scheduler string
	bit       uint32 // IP_VS_SVC_F_SCHED*
}{{"sh", 0x08}, {"sh", 0x10}, {"mh", 0x08}, {"mh", 0x10}, {"", 0x08}, {"", 0x10}, {"", 0x20}}

// FindSchedulerFlag returns the scheduler and the bit of a flag, or 0 for an
// unknown name.
func FindSchedulerFlag(name string) (scheduler string, bit uint32) {
	i := slices.IndexFunc(SchedulerFlags[:], func(c Choice) bool { return c.Name == name })
	if i < 0 {
		return "", 0
	}
	return flagOf[i].scheduler, flagOf[i].bit
}

// SchedulerFlagNames returns the names of a scheduler's flags: its own names
// if it has any, then those for any scheduler.
func SchedulerFlagNames(scheduler string, flags uint32) (names []string) {
	for i, f := range flagOf {
		if flags&f.bit != 0 && (f.scheduler == "" || f.scheduler == scheduler) {
			names = append(names, SchedulerFlags[i].Name)
			flags &^= f.bit
		}
	}
	return names
}

// PersistenceEngines are the known persistence engines.
var PersistenceEngines = [...]Choice{{"sip", "Call-ID of SIP over UDP"}}

// ConnectionStates are the states of TCP, of UDP, of SCTP, and of persistence
// templates, as /proc/net/ip_vs_conn spells them. Each is listed once.
var ConnectionStates = [...]Choice{
	{"NONE", "new; a template that no connection has used"},
	{"ESTABLISHED", "established"},
	{"SYN_SENT", "TCP: SYN of a server seen"},
	{"SYN_RECV", "TCP: SYN of a client seen, no acknowledgment of an answer yet"},
	{"FIN_WAIT", "TCP: closing"},
	{"TIME_WAIT", "TCP: closed by both sides"},
	{"CLOSE", "TCP: reset"},
	{"CLOSE_WAIT", "TCP: closed by the client"},
	{"LAST_ACK", "TCP: waits for the last acknowledgment"},
	{"LISTEN", "TCP: no packets yet"},
	{"SYNACK", "TCP: SYN answered by the defense against floods"},
	{"UDP", "UDP"},
	{"INIT1", "SCTP: INIT of a client seen"},
	{"INIT", "SCTP: INIT repeated"},
	{"COOKIE_SENT", "SCTP: INIT answered"},
	{"COOKIE_REPLIED", "SCTP: cookie returned by the client"},
	{"COOKIE_WAIT", "SCTP: waits for a cookie"},
	{"COOKIE", "SCTP: cookie sent"},
	{"COOKIE_ECHOED", "SCTP: cookie echoed"},
	{"SHUTDOWN_SENT", "SCTP: closed by the client"},
	{"SHUTDOWN_RECEIVED", "SCTP: closed by the server"},
	{"SHUTDOWN_ACK_SENT", "SCTP: shutdown acknowledged"},
	{"REJECTED", "SCTP: refused"},
	{"CLOSED", "SCTP: ended"},
	{"ASSURED", "template that a connection has used"},
}

// daemonRoles are the roles of sync daemons.
var daemonRoles = [...]Choice{
	{"master", "sends the connections of this director"},
	{"backup", "receives those of a master"},
}

// TunnelTypes are the tunnel types, in the order of the kernel's numbers
// IP_VS_CONN_F_TUNNEL_TYPE_*.
var TunnelTypes = [...]Choice{{"ipip", "IP in IP"}, {"gue", "Generic UDP Encapsulation"}, {"gre", "Generic Routing Encapsulation"}}

const tunnelCsums = 1<<OptTunnelNoCsum | 1<<OptTunnelCsum

// TunnelRules are the rules for the options of each of TunnelTypes.
var TunnelRules = [...]Rule{
	{Allowed: 1 << OptTunnelType},
	{Required: 1 << OptTunnelPort, Allowed: 1 << OptTunnelType, OneOf: []Set{tunnelCsums | 1<<OptTunnelRemCsum}},
	{Allowed: 1 << OptTunnelType, OneOf: []Set{tunnelCsums}},
}
