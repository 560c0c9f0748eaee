// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// wire is a transport whose kernel is a function from a message to the
// datagrams of the reply.
type wire struct {
	kernel func(m message) [][]byte

	mu      sync.Mutex
	answers [][]byte
	late    chan struct{} // closed when the deadline is in the past
	passed  bool          // the deadline is in the past
	writes  int
	broken  error  // error of all further writes
	onLast  func() // called when the last answer is read
}

func (w *wire) Write(b []byte) error {
	w.writes++
	if w.broken != nil {
		return w.broken
	}
	for len(b) > 0 {
		m, rest, err := nextMessage(b)
		if err != nil {
			return err
		}
		w.answers = append(w.answers, w.kernel(m)...)
		b = rest
	}
	return nil
}

func (w *wire) Read() ([][]byte, error) {
	w.mu.Lock()
	passed := w.passed
	w.mu.Unlock()
	if passed {
		return nil, os.ErrDeadlineExceeded
	}
	if len(w.answers) == 0 {
		w.mu.Lock()
		late := w.late
		w.mu.Unlock()
		if late == nil {
			return nil, io.ErrUnexpectedEOF
		}
		<-late
		return nil, os.ErrDeadlineExceeded
	}
	b := w.answers[:1]
	w.answers = w.answers[1:]
	if len(w.answers) == 0 && w.onLast != nil {
		w.onLast()
	}
	return b, nil
}

// OpenSecond fails, so that a list is repeated on the same wire.
func (*wire) OpenSecond(int) (transport, error) { return nil, errors.ErrUnsupported }

func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passed = !t.IsZero()
	if w.passed && w.late != nil {
		close(w.late)
		w.late = nil
	}
	return nil
}

// Discard drops all answers.
func (w *wire) Discard() (more bool, err error) {
	w.answers = nil
	return false, nil
}

func (*wire) Close() error { return nil }

const testFamily = 30

func reply(typ uint16, seq uint32, data []byte) []byte {
	ne := binary.NativeEndian
	b := ne.AppendUint32(nil, uint32(nl.MsgHeaderLen+len(data)))
	b = ne.AppendUint16(b, typ)
	b = ne.AppendUint16(b, 0)
	b = ne.AppendUint32(b, seq)
	b = ne.AppendUint32(b, 0)
	return append(b, data...)
}

func status(typ uint16, seq uint32, errno syscall.Errno) []byte {
	return reply(typ, seq, binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))))
}

func answer(seq uint32, attrs []byte) []byte {
	return reply(testFamily, seq, append([]byte{1, 1, 0, 0}, attrs...))
}

func client(kernel func(message) [][]byte) (*Client, *wire) {
	w := &wire{kernel: kernel}
	return newClient(newConn(w, testFamily, 1<<20, 1<<20)), w
}

func manyChanges(n int) []Change {
	changes := make([]Change, n)
	for i := range changes {
		changes[i] = deleteService(AddrID(TCP, netip.IPv4Unspecified(), uint16(i)))
	}
	return changes
}

func TestRefusalsFindTheirChange(t *testing.T) {
	c, w := client(nil)
	w.kernel = func(m message) [][]byte {
		switch {
		case m.typ == nl.MsgNoop:
			return [][]byte{status(nl.MsgError, m.seq, 0)}
		case m.seq%7 == 0:
			return [][]byte{status(nl.MsgError, m.seq, syscall.ESRCH)}
		}
		return nil
	}
	err := c.Apply(t.Context(), manyChanges(3000)...)
	var refused ChangeErrors
	if !errors.As(err, &refused) {
		t.Fatal(err)
	}
	for _, r := range refused {
		if int(r.Change.Service.Port) != r.Index || !errors.Is(r, ErrNoService) {
			t.Fatalf("%d is %v", r.Index, r)
		}
	}
	if n := len(refused); n < 425 || n > 430 {
		t.Errorf("%d refusals", n)
	}
	if w.writes < 3 || w.writes > 10 {
		t.Errorf("%d writes for 3000 changes", w.writes)
	}
}

func TestAnswersToEarlierMessagesArePassedOver(t *testing.T) {
	c, w := client(nil)
	w.kernel = func(m message) [][]byte {
		return [][]byte{status(nl.MsgError, m.seq-5, syscall.EPERM), append(reply(nl.MsgNoop, m.seq, nil), status(nl.MsgError, m.seq, 0)...)}
	}
	if err := c.Apply(t.Context(), flush()); err != nil {
		t.Error(err)
	}
}

func TestQueriesFail(t *testing.T) {
	info := append(appendU32(nil, nl.InfoVersion, 0x010201), appendU32(nil, nl.InfoConnTabSize, 4096)...)
	for _, c := range []struct {
		name    string
		answers func(seq uint32) [][]byte
		want    error
	}{
		{"answered", func(seq uint32) [][]byte { return [][]byte{answer(seq, info), status(nl.MsgError, seq, 0)} }, nil},
		{"refused", func(seq uint32) [][]byte { return [][]byte{status(nl.MsgError, seq, syscall.EPERM)} }, syscall.EPERM},
		{"not answered", func(seq uint32) [][]byte { return [][]byte{status(nl.MsgError, seq, 0)} }, ErrMalformed},
		{"a short status", func(seq uint32) [][]byte { return [][]byte{reply(nl.MsgError, seq, []byte{1})} }, ErrMalformed},
		{"a short answer", func(seq uint32) [][]byte { return [][]byte{reply(testFamily, seq, []byte{1})} }, ErrMalformed},
		{"a short header", func(seq uint32) [][]byte { return [][]byte{{1, 2, 3}} }, ErrMalformed},
		{"a long message", func(seq uint32) [][]byte {
			return [][]byte{append(reply(testFamily, seq, nil)[:4:4], make([]byte, 4)...)}
		}, ErrMalformed},
		{"a broken socket", func(seq uint32) [][]byte { return nil }, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, w := client(nil)
			w.kernel = func(m message) [][]byte { return c.answers(m.seq) }
			i, err := cl.Info(t.Context())
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
			if c.want == nil && (i.Version.String() != "1.2.1" || i.ConnTableSize != 4096) {
				t.Errorf("%+v", i)
			}
		})
	}
}

func serviceEntry(id ServiceID) []byte {
	s := Service{ServiceID: id, Scheduler: "rr"}
	return nested(nl.AttrService, append(appendServiceConfig(appendServiceID(nil, id), &s), nested(nl.SvcStats64, counters(0))...))
}

func destinationEntry(d *Destination) []byte {
	b := appendDestinationConfig(appendDestinationID(nil, d), d)
	for typ := uint16(nl.DestActiveConns); typ <= nl.DestPersistConns; typ++ {
		b = appendU32(b, typ, 0)
	}
	return nested(nl.AttrDest, append(b, nested(nl.DestStats64, counters(0))...))
}

func TestServicesOnTheMoveAreAskedForAgain(t *testing.T) {
	one := AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 1)
	two := AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 2)
	const moving = 3
	asked := 0
	c, w := client(nil)
	w.kernel = func(m message) [][]byte {
		asked++
		second := two
		if asked <= moving {
			second = one
		}
		return [][]byte{append(answer(m.seq, serviceEntry(one)), answer(m.seq, serviceEntry(second))...), status(nl.MsgDone, m.seq, 0)}
	}
	list, err := c.Services(t.Context())
	if err != nil || len(list) != 2 || list[1].ServiceID != two || asked != 4 {
		t.Errorf("asked %d times: %+v, %v", asked, list, err)
	}
}

func TestVanishedServiceIsLeftOut(t *testing.T) {
	gone := AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 1)
	there := AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 2)
	c, w := client(nil)
	w.kernel = func(m message) [][]byte {
		done := status(nl.MsgDone, m.seq, 0)
		switch cmd, one := m.data[0], len(m.data) > 4; {
		case cmd == nl.CmdGetDest:
			return [][]byte{done}
		case !one:
			return [][]byte{append(answer(m.seq, serviceEntry(gone)), answer(m.seq, serviceEntry(there))...), done}
		case string(m.data[4:]) == string(appendServiceNest(nil, gone)):
			return [][]byte{status(nl.MsgError, m.seq, syscall.ESRCH)}
		}
		return [][]byte{answer(m.seq, serviceEntry(there)), status(nl.MsgError, m.seq, 0)}
	}
	list, err := c.ServicesWithDestinations(t.Context())
	if err != nil || len(list) != 1 || list[0].ServiceID != there {
		t.Errorf("%+v, %v", list, err)
	}
}

// oneListAtATime is a kernel that, like Linux, refuses a list until the
// previous one has been read to its end. Each list has four datagrams.
func oneListAtATime(w *wire) func(message) [][]byte {
	one := serviceEntry(AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 1))
	return func(m message) [][]byte {
		if len(w.answers) > 0 {
			return [][]byte{status(nl.MsgError, m.seq, syscall.EBUSY)}
		}
		return [][]byte{answer(m.seq, one), answer(m.seq, serviceEntry(AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 2))),
			answer(m.seq, serviceEntry(AddrID(TCP, netip.MustParseAddr("12.0.0.1"), 3))), status(nl.MsgDone, m.seq, 0)}
	}
}

func TestAListThatWasGivenUpLeavesNothingBehind(t *testing.T) {
	malformed := func(bad []byte) func(*wire, func(), [][]byte) [][]byte {
		return func(_ *wire, _ func(), datagrams [][]byte) [][]byte {
			datagrams[1] = bad
			return datagrams
		}
	}
	for name, spoil := range map[string]func(w *wire, cancel func(), datagrams [][]byte) [][]byte{
		"cancelled": func(w *wire, cancel func(), datagrams [][]byte) [][]byte {
			late := w.late
			cancel()
			<-late
			return datagrams
		},
		"malformed midway":     malformed(reply(testFamily, 1, []byte{1})),
		"not a message at all": malformed([]byte{1, 2, 3}),
	} {
		t.Run(name, func(t *testing.T) {
			c, w := client(nil)
			real := oneListAtATime(w)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.late = make(chan struct{})
			w.kernel = func(m message) [][]byte { return spoil(w, cancel, real(m)) }
			if list, err := c.Services(ctx); err == nil {
				t.Fatalf("%v", list)
			}
			w.kernel = real
			for range 2 {
				if list, err := c.Services(t.Context()); err != nil || len(list) != 3 {
					t.Fatalf("the next list: %v, %v", list, err)
				}
			}
		})
	}
}

func TestADeadlineHoldsWhileAnotherCallHasItsTurn(t *testing.T) {
	c, w := client(nil)
	begun, finish := make(chan struct{}), make(chan struct{})
	w.kernel = func(m message) [][]byte {
		if m.seq == 1 {
			close(begun)
			<-finish
		}
		return [][]byte{status(nl.MsgDone, m.seq, 0)}
	}
	first := make(chan error)
	go func() { _, err := c.Services(t.Context()); first <- err }()
	<-begun
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"Services":     func() error { _, err := c.Services(ctx); return err },
		"Destinations": func() error { _, err := c.Destinations(ctx, web(1)); return err },
		"Info":         func() error { _, err := c.Info(ctx); return err },
		"Apply":        func() error { return c.Apply(ctx, flush()) },
	} {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v, want the deadline", name, err)
		}
	}
	if w.writes != 1 {
		t.Errorf("%d writes while the first call had its turn", w.writes)
	}
	close(finish)
	if err := <-first; err != nil {
		t.Error(err)
	}
	if _, err := c.Services(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnInterruptedApplySaysHowFarItGot(t *testing.T) {
	const all = 3000
	var first, later int
	broken := errors.New("the socket broke")
	for _, c := range []struct {
		name        string
		spoil       func(w *wire, cancel func())
		tried, sent *int
		want        error
	}{
		{"cancelled before the second write", func(w *wire, cancel func()) { w.onLast = cancel }, &first, &first, context.Canceled},
		{"the second write fails", func(w *wire, _ func()) { w.broken = broken }, &first, &first, broken},
		{"no answer to the second write", func(w *wire, _ func()) { w.kernel = func(message) [][]byte { return nil } }, &first, &later, io.ErrUnexpectedEOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cl, w := client(nil)
			first, later = 0, 0
			seen := 0
			w.kernel = func(m message) [][]byte {
				switch {
				case m.typ == nl.MsgNoop:
					first = seen
					c.spoil(w, cancel)
					return [][]byte{status(nl.MsgError, m.seq, 0)}
				case seen == 7:
					seen++
					return [][]byte{status(nl.MsgError, m.seq, syscall.ESRCH)}
				}
				seen++
				return nil
			}
			err := cl.Apply(ctx, manyChanges(all)...)
			later = 2 * first // the batches have the same length
			var e *ApplyError
			if !errors.As(err, &e) || !errors.Is(err, c.want) || !errors.Is(err, ErrNoService) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if first == 0 || first == all || e.Tried != *c.tried || e.Sent != *c.sent || len(e.Refused) != 1 || e.Refused[0].Index != 7 {
				t.Errorf("%d tried, %d sent, refused %v; the first write had %d", e.Tried, e.Sent, e.Refused, first)
			}
		})
	}
	c, _ := client(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var e *ApplyError
	if err := c.Apply(ctx, flush()); !errors.As(err, &e) || e.Tried != 0 || e.Sent != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestEndedContextEndsTheWait(t *testing.T) {
	c, w := client(func(message) [][]byte { return nil })
	w.late = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := c.Apply(ctx, flush()); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.kernel = func(m message) [][]byte { return [][]byte{status(nl.MsgError, m.seq, 0)} }
	if err := c.Apply(t.Context(), flush()); err != nil {
		t.Errorf("the client is of no more use: %v", err)
	}
}

func TestConnectionsAreRead(t *testing.T) {
	const table = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n" +
		"TCP 0C00000A B9FC 0C000001 0050 C0A8A80A 0050 TIME_WAIT       119\n" +
		"IP  0C000000 0000 0000004D 0000 C0A8A80A 0000 NONE             49\n" +
		"nonsense\n" +
		"UDP 20010DB8000000000000000000000001 13C4 X 13C4 X 13C4 UDP 10\n" +
		"UDP 2001:0db8:0000:0000:0000:0000:0000:0001 13C4 2001:0db8:0000:0000:0000:0000:0000:0002 13C4 2001:0db8:0000:0000:0000:0000:0000:0003 13C4 UDP             300 sip abc@host\n"
	var got []Connection
	var bad int
	for c, err := range connectionsOf(t.Context(), strings.NewReader(table), ConnectionFilter{}) {
		if err != nil {
			bad++
			if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "line ") {
				t.Error(err)
			}
			continue
		}
		got = append(got, c)
	}
	ap := netip.MustParseAddrPort
	want := []Connection{
		{Protocol: TCP, Client: ap("12.0.0.10:47612"), Virtual: ap("12.0.0.1:80"), Destination: ap("192.168.168.10:80"), State: "TIME_WAIT", Expires: 119 * time.Second},
		{Protocol: 0, Client: ap("12.0.0.0:0"), Virtual: ap("0.0.0.77:0"), Destination: ap("192.168.168.10:0"), State: "NONE", Expires: 49 * time.Second},
		{Protocol: UDP, Client: ap("[2001:db8::1]:5060"), Virtual: ap("[2001:db8::2]:5060"), Destination: ap("[2001:db8::3]:5060"), State: "UDP",
			Expires: 300 * time.Second, PersistenceEngine: "sip", PersistenceData: "abc@host"},
	}
	if bad != 2 || len(got) != len(want) {
		t.Fatalf("%d bad rows, %+v", bad, got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

func FuzzConnection(f *testing.F) {
	f.Add("TCP 0C00000A B9FC 0C000001 0050 C0A8A80A 0050 TIME_WAIT       119")
	f.Add("IP_47 0C00000A B9FC 2001:0db8:0000:0000:0000:0000:0000:0001 0050 C0A8A80A 0050 NONE 1 sip a b")
	f.Fuzz(func(t *testing.T, line string) {
		p := connParser{words: make(map[string]string)}
		c, err := p.parse([]byte(line))
		if err != nil {
			return
		}
		if p, ok := parseProtocol([]byte(c.Protocol.String())); !ok || p != c.Protocol || !c.Client.IsValid() || c.State == "" {
			t.Errorf("%q is read as %+v", line, c)
		}
	})
}

// TestAReloadedModuleIsFoundAgain changes the number of the family, as a
// reload of the module does.
func TestAReloadedModuleIsFoundAgain(t *testing.T) {
	c, w := client(nil)
	number, changes := uint16(testFamily), 0
	w.kernel = func(m message) [][]byte {
		switch {
		case m.typ == nl.MsgNoop:
			return [][]byte{status(nl.MsgError, m.seq, 0)}
		case m.typ != number:
			return [][]byte{status(nl.MsgError, m.seq, syscall.ENOENT)}
		case m.data[0] == nl.CmdGetService:
			b := answer(m.seq, serviceEntry(web(80)))
			binary.NativeEndian.PutUint16(b[4:], number)
			return [][]byte{b, status(nl.MsgDone, m.seq, 0)}
		case m.data[0] == nl.CmdDelService:
			changes++
		}
		return nil
	}
	c.family = func() (uint16, error) { return number, nil }
	for range 2 {
		number++
		if list, err := c.Services(t.Context()); err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
		}
		number++
		if err := c.Apply(t.Context(), deleteService(web(80)), deleteService(web(81))); err != nil {
			t.Error(err)
		}
	}
	if changes != 4 {
		t.Errorf("%d changes, want 4", changes)
	}
	number, c.family = 0, func() (uint16, error) { return 0, ErrNoIPVS }
	if _, err := c.Services(t.Context()); !errors.Is(err, ErrNoIPVS) {
		t.Error(err)
	}
	if err := c.Apply(t.Context(), deleteService(web(80))); !errors.Is(err, ErrNoIPVS) {
		t.Error(err)
	}
}
