// SPDX-License-Identifier: Apache-2.0

package spec

// Group is what 1.31 counts and names in its messages: options of which only
// one may be given share one. The order is that in which 1.31 checks them.
type Group uint8

// The groups: those of 1.31, then our own.
const (
	Numeric Group = iota
	Connection
	ServiceAddress
	Scheduler
	Persistent
	Netmask
	RealServer
	ForwardingMethod
	Weight
	UThreshold
	LThreshold
	McastInterface
	Timeout
	Daemon
	Stats
	Rate
	Thresholds
	PersistentConn
	NoSort
	SyncID
	Exact
	OnePacket
	PersistenceEngine
	SchedFlags
	McastGroup
	McastPort
	McastTTL
	SyncMaxLen
	TunnelInfo
	TunnelType
	TunnelPort
	TunnelNoCsum
	TunnelCsum
	TunnelRemCsum
	All
	Output
	Strict
	Check
	DryRun
	Lock
	groupCount

	// Uncounted is for options that may be given again and with any command.
	Uncounted Group = 63
)

// AllGroups are those that 1.31 checks against a command.
const AllGroups Groups = 1<<groupCount - 1

// TunnelGroups are those that only a tunnelled real server takes.
const TunnelGroups Groups = 1<<TunnelType | 1<<TunnelPort | 1<<TunnelNoCsum | 1<<TunnelCsum | 1<<TunnelRemCsum

var groupNames = [groupCount]string{
	Numeric:           "numeric",
	Connection:        "connection",
	ServiceAddress:    "service-address",
	Scheduler:         "scheduler",
	Persistent:        "persistent",
	Netmask:           "netmask",
	RealServer:        "real-server",
	ForwardingMethod:  "forwarding-method",
	Weight:            "weight",
	UThreshold:        "u-threshold",
	LThreshold:        "l-threshold",
	McastInterface:    "mcast-interface",
	Timeout:           "timeout",
	Daemon:            "daemon",
	Stats:             "stats",
	Rate:              "rate",
	Thresholds:        "thresholds",
	PersistentConn:    "persistent-conn",
	NoSort:            "nosort",
	SyncID:            "syncid",
	Exact:             "exact",
	OnePacket:         "ops",
	PersistenceEngine: "pe",
	SchedFlags:        "sched-flags",
	McastGroup:        "mcast-group",
	McastPort:         "mcast-port",
	McastTTL:          "mcast-ttl",
	SyncMaxLen:        "sync-maxlen",
	TunnelInfo:        "tun-info",
	TunnelType:        "tun-type",
	TunnelPort:        "tun-port",
	TunnelNoCsum:      "tun-nocsum",
	TunnelCsum:        "tun-csum",
	TunnelRemCsum:     "tun-remcsum",
	All:               "all",
	Output:            "output",
	Strict:            "strict",
	Check:             "check",
	DryRun:            "dry-run",
	Lock:              "lock",
}

// String is what 1.31's messages call the group.
func (g Group) String() string { return groupNames[g] }

// OptionID identifies a row of Options.
type OptionID uint8

// The options.
const (
	OptTCPService OptionID = iota + 1
	OptUDPService
	OptSCTPService
	OptFWMarkService
	OptIPv6
	OptScheduler
	OptSchedFlags
	OptPersistenceEngine
	OptPersistent
	OptNetmask
	OptOnePacket
	OptRealServer
	OptGatewaying
	OptIPIP
	OptMasquerading
	OptTunnelType
	OptTunnelPort
	OptTunnelNoCsum
	OptTunnelCsum
	OptTunnelRemCsum
	OptWeight
	OptUThreshold
	OptLThreshold
	OptConnection
	OptTimeout
	OptDaemon
	OptStats
	OptRate
	OptExact
	OptThresholds
	OptPersistentConn
	OptTunnelInfo
	OptNoSort
	OptSort
	OptNumeric
	OptSyncID
	OptSyncMaxLen
	OptMcastInterface
	OptMcastGroup
	OptMcastPort
	OptMcastTTL
	OptAll
	OptOutput
	OptStrict
	OptCheck
	OptDryRun
	OptLock
)

const maxInt32 = 1<<31 - 1

// Options is the table of options, in the order in which the help shows them.
var Options = [...]Option{
	{ID: OptTCPService, Group: ServiceAddress, Long: "tcp-service", Short: 't', Value: RequiredValue, Arg: "address",
		Help: "TCP service at host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptUDPService, Group: ServiceAddress, Long: "udp-service", Short: 'u', Value: RequiredValue, Arg: "address",
		Help: "UDP service at host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptSCTPService, Group: ServiceAddress, Long: "sctp-service", Value: RequiredValue, Arg: "address",
		Help: "SCTP service at host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptFWMarkService, Group: ServiceAddress, Long: "fwmark-service", Short: 'f', Value: RequiredValue, Arg: "mark",
		Help: "service of the packets with a firewall mark", Noun: "fwmark", Min: 1, Max: 1<<32 - 1},
	{ID: OptIPv6, Group: Uncounted, With: ServiceAddress, Long: "ipv6", Short: '6',
		Help: "the firewall mark is one of IPv6 packets"},
	{ID: OptScheduler, Group: Scheduler, Long: "scheduler", Short: 's', Value: RequiredValue, Arg: "name",
		Help: "how servers are chosen: rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh (wlc if not given)"},
	{ID: OptSchedFlags, Group: SchedFlags, Long: "sched-flags", Short: 'b', Value: RequiredValue, Arg: "flags",
		Help: "comma list for the scheduler: sh-fallback sh-port, mh-fallback mh-port, or flag-1 flag-2 flag-3"},
	{ID: OptPersistenceEngine, Group: PersistenceEngine, Long: "pe", Value: RequiredValue, Arg: "engine",
		Help: "what tells clients apart besides their address: sip"},
	{ID: OptPersistent, Group: Persistent, Long: "persistent", Short: 'p', Value: OptionalValue, Default: "360", Arg: "seconds",
		Help: "a client stays with its server for so long (360 if not given)", Noun: "timeout", Min: 1, Max: maxTimeout},
	{ID: OptNetmask, Group: Netmask, Long: "netmask", Short: 'M', Value: RequiredValue, Arg: "mask",
		Help: "clients of one network count as one: 255.255.255.0, or 64 in IPv6", Noun: "virtual server persistent mask",
		Min: 1, Max: 128},
	{ID: OptOnePacket, Group: OnePacket, Long: "ops", Short: 'o',
		Help: "each packet of a UDP service is a connection of its own"},
	{ID: OptRealServer, Group: RealServer, Long: "real-server", Short: 'r', Value: RequiredValue, Arg: "address",
		Help: "the real server, host:port or host", Noun: "real server address[:port]"},
	{ID: OptGatewaying, Group: ForwardingMethod, Long: "gatewaying", Short: 'g',
		Help: "hand packets on unaltered, direct routing (if no method is given)"},
	{ID: OptIPIP, Group: ForwardingMethod, Long: "ipip", Short: 'i',
		Help: "hand packets on through a tunnel"},
	{ID: OptMasquerading, Group: ForwardingMethod, Long: "masquerading", Short: 'm',
		Help: "hand packets on with another address, NAT"},
	{ID: OptTunnelType, Group: TunnelType, Long: "tun-type", Value: RequiredValue, Arg: "type",
		Help: "the kind of tunnel: ipip gue gre (ipip if not given)", Noun: "tunnel type"},
	{ID: OptTunnelPort, Group: TunnelPort, Long: "tun-port", Value: RequiredValue, Arg: "port",
		Help: "the UDP port of a gue tunnel", Noun: "tunnel port", Min: 1, Max: 65535},
	{ID: OptTunnelNoCsum, Group: TunnelNoCsum, Long: "tun-nocsum",
		Help: "no checksum in the tunnel (gue, gre; if none is given)"},
	{ID: OptTunnelCsum, Group: TunnelCsum, Long: "tun-csum",
		Help: "a checksum in the tunnel (gue, gre)"},
	{ID: OptTunnelRemCsum, Group: TunnelRemCsum, Long: "tun-remcsum",
		Help: "a remote checksum in the tunnel (gue)"},
	{ID: OptWeight, Group: Weight, Long: "weight", Short: 'w', Value: RequiredValue, Arg: "number",
		Help: "the server's share; with 0 it gets no new connections (1 if not given)", Noun: "weight", Max: maxInt32},
	{ID: OptUThreshold, Group: UThreshold, Long: "u-threshold", Short: 'x', Value: RequiredValue, Arg: "number",
		Help: "so many connections, and the server gets no new ones; 0 is no limit", Noun: "u_threshold", Max: maxInt32},
	{ID: OptLThreshold, Group: LThreshold, Long: "l-threshold", Short: 'y', Value: RequiredValue, Arg: "number",
		Help: "fewer than so many again, and it gets new ones", Noun: "l_threshold", Max: maxInt32},
	{ID: OptConnection, Group: Connection, Long: "connection", Short: 'c',
		Help: "list the connections"},
	{ID: OptTimeout, Group: Timeout, Long: "timeout",
		Help: "list the timeouts of connections"},
	{ID: OptDaemon, Group: Daemon, Long: "daemon",
		Help: "list the sync daemons"},
	{ID: OptStats, Group: Stats, Long: "stats",
		Help: "list connections, packets and bytes since the last zero"},
	{ID: OptRate, Group: Rate, Long: "rate",
		Help: "list connections, packets and bytes a second"},
	{ID: OptExact, Group: Exact, Long: "exact", Short: 'X',
		Help: "numbers with all digits, without K, M, G or T"},
	{ID: OptThresholds, Group: Thresholds, Long: "thresholds",
		Help: "list the thresholds of servers"},
	{ID: OptPersistentConn, Group: PersistentConn, Long: "persistent-conn",
		Help: "list the persistent connections of servers"},
	{ID: OptTunnelInfo, Group: TunnelInfo, Long: "tun-info",
		Help: "list the tunnels of servers"},
	{ID: OptNoSort, Group: NoSort, Long: "nosort",
		Help: "list in the kernel's order"},
	{ID: OptSort, Group: Uncounted, With: NoSort, Long: "sort",
		Help: "does nothing: lists are sorted"},
	{ID: OptNumeric, Group: Numeric, Long: "numeric", Short: 'n',
		Help: "addresses and ports as numbers, nothing is looked up"},
	{ID: OptSyncID, Group: SyncID, Long: "syncid", Value: RequiredValue, Arg: "number",
		Help: "which daemons belong together, 0 to 255 (0 if not given)", Noun: "syncid", Max: 255},
	{ID: OptSyncMaxLen, Group: SyncMaxLen, Long: "sync-maxlen", Value: RequiredValue, Arg: "bytes",
		Help: "longest sync message", Noun: "sync-maxlen", Min: 1, Max: 65507},
	{ID: OptMcastInterface, Group: McastInterface, Long: "mcast-interface", Value: RequiredValue, Arg: "interface",
		Help: "where sync messages go out and come in (eth0 if not given)"},
	{ID: OptMcastGroup, Group: McastGroup, Long: "mcast-group", Value: RequiredValue, Arg: "address",
		Help: "multicast group, IPv4 or IPv6 (224.0.0.81 if not given)"},
	{ID: OptMcastPort, Group: McastPort, Long: "mcast-port", Value: RequiredValue, Arg: "port",
		Help: "UDP port (8848 if not given)", Noun: "mcast-port", Min: 1, Max: 65535},
	{ID: OptMcastTTL, Group: McastTTL, Long: "mcast-ttl", Value: RequiredValue, Arg: "hops",
		Help: "how far sync messages go (1 if not given)", Noun: "mcast-ttl", Min: 1, Max: 255},
	{ID: OptAll, Group: All, Long: "all",
		Help: "save timeouts and sync daemons as well"},
	{ID: OptOutput, Group: Output, Long: "output", Value: RequiredValue, Arg: "file",
		Help: "save to a file, replaced as a whole where possible (-: standard output)"},
	{ID: OptStrict, Group: Strict, Long: "strict",
		Help: "all or nothing: whatever is refused, the table stays as it was"},
	{ID: OptCheck, Group: Check, Long: "check",
		Help: "only look for mistakes in the file; needs neither root nor ip_vs"},
	{ID: OptDryRun, Group: DryRun, Long: "dry-run",
		Help: "print the changes as commands in place of making them"},
	{ID: OptLock, Group: Lock, Long: "lock", Value: RequiredValue, Arg: "file",
		Help: "what keeps two of these apart (/run/ipvsadm.lock if not given)"},
}

// maxTimeout is the longest timeout in seconds that 1.31 takes: 31 days.
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
	Zero
	SetTimeouts
	StartDaemon
	StopDaemon
	Help
	Version
)

const (
	serviceOptions = 1<<Scheduler | 1<<Persistent | 1<<Netmask | 1<<OnePacket | 1<<PersistenceEngine | 1<<SchedFlags
	serverOptions  = 1<<ForwardingMethod | 1<<Weight | 1<<UThreshold | 1<<LThreshold | TunnelGroups
	theServer      = 1<<ServiceAddress | 1<<RealServer
	listOptions    = 1<<Numeric | 1<<Stats | 1<<Rate | 1<<Thresholds | 1<<PersistentConn | 1<<NoSort | 1<<SyncID | 1<<Exact | 1<<TunnelInfo
	listOneOf      = 1<<Connection | 1<<ServiceAddress | 1<<Timeout | 1<<Daemon
	daemonOptions  = 1<<McastInterface | 1<<SyncID | 1<<McastGroup | 1<<McastPort | 1<<McastTTL | 1<<SyncMaxLen
)

// Commands is the table of commands, in the order in which the help shows
// them.
var Commands = [...]Command{
	{ID: AddService, Name: "add-service", Long: "add-service", Short: 'A', Help: "add a virtual service",
		Rule: Rule{Required: 1 << ServiceAddress, Allowed: serviceOptions}},
	{ID: EditService, Name: "edit-service", Long: "edit-service", Short: 'E', Help: "give a virtual service other options",
		Rule: Rule{Required: 1 << ServiceAddress, Allowed: serviceOptions}},
	{ID: DeleteService, Name: "delete-service", Long: "delete-service", Short: 'D', Help: "delete a virtual service and its servers",
		Rule: Rule{Required: 1 << ServiceAddress}},
	{ID: Flush, Name: "flush", Long: "clear", Short: 'C', Help: "delete all virtual services"},
	{ID: Restore, Name: "restore", Long: "restore", Short: 'R', Help: "run the commands on standard input, one a line"},
	{ID: Apply, Name: "apply", Long: "apply", Arg: "[file]", MaxArgs: 1, Help: "make the table what a file says, by the fewest changes",
		Rule: Rule{Allowed: 1<<Numeric | 1<<Strict | 1<<Lock, OneOf: 1<<Check | 1<<DryRun}},
	{ID: Save, Name: "save", Long: "save", Short: 'S', Help: "print the table as commands for -R",
		Rule: Rule{Allowed: 1<<Numeric | 1<<All | 1<<Output}},
	{ID: AddServer, Name: "add-server", Long: "add-server", Short: 'a', Help: "add a real server to a virtual service",
		Rule: Rule{Required: theServer, Allowed: serverOptions}},
	{ID: EditServer, Name: "edit-server", Long: "edit-server", Short: 'e', Help: "give a real server other options",
		Rule: Rule{Required: theServer, Allowed: serverOptions}},
	{ID: DeleteServer, Name: "delete-server", Long: "delete-server", Short: 'd', Help: "take a real server out of a virtual service",
		Rule: Rule{Required: theServer}},
	{ID: List, Name: "list", Long: "list", Short: 'L', Alias: 'l', Help: "list the table, or one virtual service",
		Rule: Rule{Allowed: listOptions, OneOf: listOneOf}},
	{ID: Zero, Name: "zero", Long: "zero", Short: 'Z', Help: "zero the counters, of all or of one virtual service",
		Rule: Rule{Allowed: 1 << ServiceAddress}},
	{ID: SetTimeouts, Name: "set", Long: "set", Arg: "tcp tcpfin udp", MaxArgs: 3, Help: "set the timeouts of connections in seconds; 0 leaves one as it is"},
	{ID: StartDaemon, Name: "start-daemon", Long: "start-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "start a connection sync daemon", Noun: "start-daemon parameter", Rule: Rule{Allowed: daemonOptions}},
	{ID: StopDaemon, Name: "stop-daemon", Long: "stop-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "stop a connection sync daemon", Noun: "start_daemon", Rule: Rule{Allowed: 1 << SyncID}},
	{ID: Help, Name: "help", Long: "help", Short: 'h', Help: "show this help"},
	{ID: Version, Name: "version", Long: "version", Short: 'v', Help: "show the version"},
}

// Tunnel is a kind of tunnel with the options that go with it.
type Tunnel struct {
	Name string
	Rule Rule
}

const tunnelCsums = 1<<TunnelNoCsum | 1<<TunnelCsum

// Tunnels are the kinds of tunnel, in the order of the kernel's numbers
// IP_VS_CONN_F_TUNNEL_TYPE_*.
var Tunnels = [...]Tunnel{
	{"ipip", Rule{Allowed: 1 << TunnelType}},
	{"gue", Rule{Required: 1 << TunnelPort, Allowed: 1 << TunnelType, OneOf: tunnelCsums | 1<<TunnelRemCsum}},
	{"gre", Rule{Allowed: 1 << TunnelType, OneOf: tunnelCsums}},
}

// SchedFlag is a word of the option --sched-flags. Its value is a bit
// IP_VS_SVC_F_SCHED1, 2 or 3.
type SchedFlag struct {
	Name      string
	Scheduler string // the only one that knows it, or any if empty
	Number    int    // 1, 2 or 3
}

// SchedulerFlags are the words of --sched-flags, those with a scheduler first.
var SchedulerFlags = [...]SchedFlag{
	{"sh-fallback", "sh", 1},
	{"sh-port", "sh", 2},
	{"mh-fallback", "mh", 1},
	{"mh-port", "mh", 2},
	{"flag-1", "", 1},
	{"flag-2", "", 2},
	{"flag-3", "", 3},
}
