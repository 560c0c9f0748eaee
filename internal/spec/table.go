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
	optionCount
)

// AllOptions has every option.
const AllOptions Set = 1<<optionCount - 1

// Beyond are the options that 1.31 does not have.
const Beyond Set = AllOptions &^ (1<<OptAll - 1)

// Sets of which only one option may be given. Messages have a name for each,
// see Option.Alternatives.
const (
	ServiceAddress   Set = 1<<OptTCPService | 1<<OptUDPService | 1<<OptSCTPService | 1<<OptFWMarkService | 1<<OptIPv6
	ForwardingMethod Set = 1<<OptGatewaying | 1<<OptIPIP | 1<<OptMasquerading
)

// Uncounted are the options that 1.31 accepts any number of times, and with
// any command.
const Uncounted Set = 1<<OptIPv6 | 1<<OptSort

// Global are the options that every command takes, before it or after it. A
// line of rule text may not have them.
const Global Set = 1 << OptNetNS

// Existing are the options about what the table has already.
const Existing Set = 1<<OptKeep | 1<<OptExist | 1<<OptDrain

// CommandLine are the options that a line of rule text may not have: the
// global ones, and what takes time.
const CommandLine Set = Global | 1<<OptDrain

// TunnelOptions are the options that only a tunneled real server takes.
const TunnelOptions Set = 1<<OptTunnelType | 1<<OptTunnelPort | 1<<OptTunnelNoCsum | 1<<OptTunnelCsum | 1<<OptTunnelRemCsum

const maxInt32 = 1<<31 - 1

// Options is the table of options, in the order in which the help shows them.
var Options = [...]Option{
	{ID: OptTCPService, Long: "tcp-service", Short: 't', Value: RequiredValue, Arg: "address",
		Help: "TCP service: host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptUDPService, Long: "udp-service", Short: 'u', Value: RequiredValue, Arg: "address",
		Help: "UDP service: host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptSCTPService, Long: "sctp-service", Value: RequiredValue, Arg: "address",
		Help: "SCTP service: host:port or [host]:port", Noun: "virtual server address[:port]"},
	{ID: OptFWMarkService, Long: "fwmark-service", Short: 'f', Value: RequiredValue, Arg: "mark",
		Help: "firewall mark of the packets", Noun: "fwmark", Min: 1, Max: 1<<32 - 1},
	{ID: OptIPv6, Long: "ipv6", Short: '6',
		Help: "with -f: IPv6 packets"},
	{ID: OptScheduler, Long: "scheduler", Short: 's', Value: RequiredValue, Arg: "name",
		Help: "scheduler (default wlc)"},
	{ID: OptSchedFlags, Long: "sched-flags", Short: 'b', Value: RequiredValue, Arg: "flags",
		Help: "scheduler flags, separated by commas"},
	{ID: OptPersistenceEngine, Long: "pe", Value: RequiredValue, Arg: "engine",
		Help: "persistence engine"},
	{ID: OptPersistent, Long: "persistent", Short: 'p', Value: OptionalValue, Default: "360", Arg: "seconds",
		Help: "persistence timeout in seconds (default 360)", Noun: "timeout", Min: 1, Max: maxTimeout},
	{ID: OptNetmask, Long: "netmask", Short: 'M', Value: RequiredValue, Arg: "mask",
		Help: "persistence netmask: clients of one network share a server (255.255.255.0; IPv6: 64)", Noun: "virtual server persistent mask",
		Min: 1, Max: 128},
	{ID: OptOnePacket, Long: "ops", Short: 'o',
		Help: "one-packet scheduling (UDP)"},
	{ID: OptRealServer, Long: "real-server", Short: 'r', Value: RequiredValue, Arg: "address",
		Help: "real server: host, host:port or [host]:port", Noun: "real server address[:port]"},
	{ID: OptGatewaying, Long: "gatewaying", Short: 'g',
		Help: "direct routing (default)"},
	{ID: OptIPIP, Long: "ipip", Short: 'i',
		Help: "IP tunneling"},
	{ID: OptMasquerading, Long: "masquerading", Short: 'm',
		Help: "NAT (masquerading)"},
	{ID: OptTunnelType, Long: "tun-type", Value: RequiredValue, Arg: "type",
		Help: "tunnel type (default ipip)", Noun: "tunnel type"},
	{ID: OptTunnelPort, Long: "tun-port", Value: RequiredValue, Arg: "port",
		Help: "UDP port of a gue tunnel", Noun: "tunnel port", Min: 1, Max: 65535},
	{ID: OptTunnelNoCsum, Long: "tun-nocsum",
		Help: "no tunnel checksum (gue, gre; default)"},
	{ID: OptTunnelCsum, Long: "tun-csum",
		Help: "tunnel checksum (gue, gre)"},
	{ID: OptTunnelRemCsum, Long: "tun-remcsum",
		Help: "remote tunnel checksum (gue)"},
	{ID: OptWeight, Long: "weight", Short: 'w', Value: RequiredValue, Arg: "number",
		Help: "weight (default 1); 0 drains the server", Noun: "weight", Max: maxInt32},
	{ID: OptUThreshold, Long: "u-threshold", Short: 'x', Value: RequiredValue, Arg: "number",
		Help: "upper connection threshold: no new connections at or above it (default 0, none)", Noun: "u_threshold", Max: maxInt32},
	{ID: OptLThreshold, Long: "l-threshold", Short: 'y', Value: RequiredValue, Arg: "number",
		Help: "lower connection threshold: new connections again below it", Noun: "l_threshold", Max: maxInt32},
	{ID: OptKeep, Long: "keep",
		Help: "keep the settings that are not named"},
	{ID: OptExist, Long: "exist",
		Help: "edit what exists already; ignore what is missing when deleting"},
	{ID: OptDrain, Long: "drain", Value: RequiredValue, Arg: "seconds",
		Help: "drain time in seconds: no new connections, then delete once the others have ended", Noun: "drain time", Max: maxTimeout},
	{ID: OptConnection, Long: "connection", Short: 'c',
		Help: "connections: all, or those of a service"},
	{ID: OptClient, Long: "client", Value: RequiredValue, Arg: "address[/length]",
		Help: "only connections of a client or a network", Noun: "client address[/length]"},
	{ID: OptState, Long: "state", Value: RequiredValue, Arg: "name",
		Help: "only connections in a state, such as ESTABLISHED (any case)", Noun: "connection state"},
	{ID: OptTimeout, Long: "timeout",
		Help: "connection timeouts"},
	{ID: OptDaemon, Long: "daemon",
		Help: "sync daemons"},
	{ID: OptStats, Long: "stats",
		Help: "connections, packets and bytes since the last --zero"},
	{ID: OptRate, Long: "rate",
		Help: "connections, packets and bytes per second"},
	{ID: OptExact, Long: "exact", Short: 'X',
		Help: "exact numbers, without K, M, G or T"},
	{ID: OptThresholds, Long: "thresholds",
		Help: "connection thresholds of the servers"},
	{ID: OptPersistentConn, Long: "persistent-conn",
		Help: "persistent connections of the servers"},
	{ID: OptTunnelInfo, Long: "tun-info",
		Help: "tunnel settings of the servers"},
	{ID: OptNoSort, Long: "nosort",
		Help: "do not sort"},
	{ID: OptSort, Long: "sort",
		Help: "sort (default; no effect)"},
	{ID: OptNumeric, Long: "numeric", Short: 'n',
		Help: "numeric addresses and ports, no name lookups"},
	{ID: OptWide, Long: "wide",
		Help: "columns as wide as their content"},
	{ID: OptJSON, Long: "json",
		Help: "JSON, always numeric"},
	{ID: OptMetrics, Long: "metrics",
		Help: "Prometheus text format, always numeric"},
	{ID: OptTimestamp, Long: "timestamp",
		Help: "time in front of each change"},
	{ID: OptSyncID, Long: "syncid", Value: RequiredValue, Arg: "number",
		Help: "sync group, 0 to 255 (default 0)", Noun: "syncid", Max: 255},
	{ID: OptSyncMaxLen, Long: "sync-maxlen", Value: RequiredValue, Arg: "bytes",
		Help: "maximum length of a sync message", Noun: "sync-maxlen", Min: 1, Max: 65507},
	{ID: OptMcastInterface, Long: "mcast-interface", Value: RequiredValue, Arg: "interface",
		Help: "interface for sync messages (default eth0)"},
	{ID: OptMcastGroup, Long: "mcast-group", Value: RequiredValue, Arg: "address",
		Help: "multicast group, IPv4 or IPv6 (default 224.0.0.81)"},
	{ID: OptMcastPort, Long: "mcast-port", Value: RequiredValue, Arg: "port",
		Help: "UDP port of the multicast group (default 8848)", Noun: "mcast-port", Min: 1, Max: 65535},
	{ID: OptMcastTTL, Long: "mcast-ttl", Value: RequiredValue, Arg: "hops",
		Help: "TTL of sync messages (default 1)", Noun: "mcast-ttl", Min: 1, Max: 255},
	{ID: OptAll, Long: "all",
		Help: "save timeouts and sync daemons as well"},
	{ID: OptOutput, Long: "output", Value: RequiredValue, Arg: "file",
		Help: "write to a file, replaced as a whole where possible (-: standard output)"},
	{ID: OptUpdate, Long: "update", Value: RequiredValue, Arg: "file",
		Help: "like --output, with timeouts and sync daemons if the file has them; an empty table does not replace it"},
	{ID: OptStrict, Long: "strict",
		Help: "all or nothing, as with a file: if a line is refused, the table stays as it was"},
	{ID: OptKeepGoing, Long: "keep-going",
		Help: "leave out lines that are faulty or refused, apply the rest"},
	{ID: OptCheck, Long: "check",
		Help: "check the file only; needs neither root nor ip_vs"},
	{ID: OptDryRun, Long: "dry-run",
		Help: "print the changes as commands instead of making them"},
	{ID: OptDiff, Long: "diff",
		Help: "print the changes as a unified diff instead of making them; status 1 if there are any"},
	{ID: OptMerge, Long: "merge",
		Help: "keep virtual services that the file does not name"},
	{ID: OptLock, Long: "lock", Value: RequiredValue, Arg: "file",
		Help: "lock file that serializes restores (default /run/ipvsadm.lock)"},
	{ID: OptNetNS, Long: "netns", Value: RequiredValue, Arg: "namespace",
		Help: "network namespace: name of ip netns, path or process ID", Noun: "network namespace"},
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
	listOther      = 1<<OptTimeout | 1<<OptDaemon | 1<<OptMetrics
	daemonOptions  = 1<<OptMcastInterface | 1<<OptSyncID | 1<<OptMcastGroup | 1<<OptMcastPort | 1<<OptMcastTTL | 1<<OptSyncMaxLen
)

// Commands is the table of commands, in the order in which the help shows
// them.
var Commands = [...]Command{
	{ID: AddService, Name: "add-service", Long: "add-service", Short: 'A', Help: "add a virtual service",
		Rule: Rule{Required: ServiceAddress, Allowed: serviceOptions | 1<<OptExist}},
	{ID: EditService, Name: "edit-service", Long: "edit-service", Short: 'E', Help: "replace all settings of a virtual service; what is not named goes back to its default (see --keep)",
		Rule: Rule{Required: ServiceAddress, Allowed: serviceOptions | 1<<OptKeep}},
	{ID: DeleteService, Name: "delete-service", Long: "delete-service", Short: 'D', Help: "delete a virtual service and its servers",
		Rule: Rule{Required: ServiceAddress, Allowed: 1<<OptExist | 1<<OptDrain}},
	{ID: Flush, Name: "flush", Long: "clear", Short: 'C', Help: "delete all virtual services"},
	{ID: Restore, Name: "restore", Long: "restore", Short: 'R', Help: "run the commands on standard input, one per line"},
	{ID: Apply, Name: "apply", Long: "apply", Arg: "[file]", MaxArgs: 1, Help: "change the table to match a file, with the fewest changes",
		Rule: Rule{Allowed: 1<<OptNumeric | 1<<OptLock | 1<<OptMerge | 1<<OptDrain,
			OneOf: []Set{1<<OptStrict | 1<<OptKeepGoing, 1<<OptCheck | 1<<OptDryRun | 1<<OptDiff}}},
	{ID: Save, Name: "save", Long: "save", Short: 'S', Help: "print the table as commands for --restore",
		Rule: Rule{Allowed: 1<<OptNumeric | 1<<OptAll, OneOf: []Set{1<<OptOutput | 1<<OptUpdate}}},
	{ID: AddServer, Name: "add-server", Long: "add-server", Short: 'a', Help: "add a real server to a virtual service",
		Rule: Rule{Required: theServer, Allowed: serverOptions | 1<<OptExist}},
	{ID: EditServer, Name: "edit-server", Long: "edit-server", Short: 'e', Help: "replace all settings of a real server; what is not named goes back to its default (see --keep)",
		Rule: Rule{Required: theServer, Allowed: serverOptions | 1<<OptKeep}},
	{ID: DeleteServer, Name: "delete-server", Long: "delete-server", Short: 'd', Help: "delete a real server from a virtual service",
		Rule: Rule{Required: theServer, Allowed: 1<<OptExist | 1<<OptDrain}},
	{ID: List, Name: "list", Long: "list", Short: 'L', Alias: 'l', Help: "list the table, or one virtual service",
		Rule: Rule{Allowed: listOptions, OneOf: []Set{1<<OptConnection | listOther, ServiceAddress | listOther, 1<<OptJSON | 1<<OptMetrics},
			With: []With{{OptConnection, 1<<OptRealServer | 1<<OptClient | 1<<OptState}, {OptMetrics, 1 << OptOutput}}}},
	{ID: Monitor, Name: "monitor", Long: "monitor", Value: OptionalValue, Default: "1", Arg: "seconds", Noun: "interval",
		Min: 1, Max: maxTimeout, Help: "print changes of the table as commands; interval in seconds (default 1)",
		Rule: Rule{Allowed: 1<<OptJSON | 1<<OptTimestamp}},
	{ID: Doctor, Name: "doctor", Long: "doctor", Arg: "[file]", MaxArgs: 1,
		Help: "diagnose what keeps this director from balancing, or would with the table of a file",
		Rule: Rule{Allowed: 1 << OptJSON}},
	{ID: Watch, Name: "watch", Long: "watch", Value: OptionalValue, Default: "2", Arg: "seconds", Noun: "interval",
		Min: 1, Max: maxTimeout, Help: "live screen of the table with rates; interval in seconds (default 2)"},
	{ID: Zero, Name: "zero", Long: "zero", Short: 'Z', Help: "zero the counters of all virtual services, or of one",
		Rule: Rule{Allowed: ServiceAddress}},
	{ID: SetTimeouts, Name: "set", Long: "set", Arg: "tcp tcpfin udp", MaxArgs: 3, Help: "set the connection timeouts in seconds (0: no change)"},
	{ID: StartDaemon, Name: "start-daemon", Long: "start-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "start a sync daemon", Noun: "start-daemon parameter", Rule: Rule{Allowed: daemonOptions}},
	{ID: StopDaemon, Name: "stop-daemon", Long: "stop-daemon", Value: RequiredValue, Arg: "master|backup",
		Help: "stop a sync daemon", Noun: "start_daemon", Rule: Rule{Allowed: 1 << OptSyncID}},
	{ID: Help, Name: "help", Long: "help", Short: 'h', Help: "show a summary of commands and options"},
	{ID: Version, Name: "version", Long: "version", Short: 'v', Help: "show the version"},
}

// Scheduler is a scheduler of IPVS.
type Scheduler struct {
	Name string // as kernels know it
	Help string
}

// Schedulers are those that kernels have. A kernel may lack some.
var Schedulers = [...]Scheduler{
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

// SchedulerNames returns the names of Schedulers.
func SchedulerNames() []string {
	names := make([]string, len(Schedulers))
	for i := range Schedulers {
		names[i] = Schedulers[i].Name
	}
	return names
}

// IsScheduler reports whether a kernel may have a scheduler of this name.
func IsScheduler(name string) bool {
	return slices.ContainsFunc(Schedulers[:], func(s Scheduler) bool { return s.Name == name })
}

// PersistenceEngines are those that kernels have.
var PersistenceEngines = [...]string{"sip"}

// Tunnel is a tunnel type with the options that it takes.
type Tunnel struct {
	Name string
	Rule Rule
}

const tunnelCsums = 1<<OptTunnelNoCsum | 1<<OptTunnelCsum

// Tunnels are the tunnel types, in the order of the kernel's numbers
// IP_VS_CONN_F_TUNNEL_TYPE_*.
var Tunnels = [...]Tunnel{
	{"ipip", Rule{Allowed: 1 << OptTunnelType}},
	{"gue", Rule{Required: 1 << OptTunnelPort, Allowed: 1 << OptTunnelType, OneOf: []Set{tunnelCsums | 1<<OptTunnelRemCsum}}},
	{"gre", Rule{Allowed: 1 << OptTunnelType, OneOf: []Set{tunnelCsums}}},
}
