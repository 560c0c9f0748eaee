// SPDX-License-Identifier: Apache-2.0

package ipvs

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/must"
	"github.com/ipvsadm-go/ipvsadm/pkg/ipvs/internal/nl"
)

// mailbox is an inbox and the sending end of its socket.
func mailbox(t *testing.T) (in *inbox, send func([]byte), fd uintptr) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	must.OK(t, err)
	t.Cleanup(func() { unix.Close(ends[0]); unix.Close(ends[1]) })
	return newInbox(), func(b []byte) {
		must.OK(t, unix.Send(ends[0], b, 0))
	}, uintptr(ends[1])
}

func TestInbox(t *testing.T) {
	t.Run("all datagrams that wait come at once", testAllAtOnce)
	t.Run("more datagrams than slots take turns", testMoreThanSlots)
	t.Run("a datagram that is cut is an error", testCutDatagram)
}

func testAllAtOnce(t *testing.T) {
	in, send, fd := mailbox(t)
	if d, err := in.receive(fd); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty socket gives %d datagrams, %v", len(d), err)
	}
	sent := [][]byte{reply(1, 7, make([]byte, slotSize-nl.MsgHeaderLen)), reply(2, 8, []byte("odd")), reply(3, 9, nil)}
	for range 2 {
		for _, b := range sent {
			send(b)
		}
		got, err := in.receive(fd)
		if err != nil || len(got) != len(sent) {
			t.Fatalf("%d datagrams, %v", len(got), err)
		}
		for i := range sent {
			if !bytes.Equal(got[i], sent[i]) {
				t.Fatalf("datagram %d has %d bytes", i, len(got[i]))
			}
		}
	}
}

func testMoreThanSlots(t *testing.T) {
	in, send, fd := mailbox(t)
	for range slots + 1 {
		send(reply(1, 0, nil))
	}
	for _, want := range []int{slots, 1} {
		if d, err := in.receive(fd); err != nil || len(d) != want {
			t.Errorf("%d datagrams, %v, want %d", len(d), err, want)
		}
	}
}

func testCutDatagram(t *testing.T) {
	in, send, fd := mailbox(t)
	send(make([]byte, slotSize+1))
	if d, err := in.receive(fd); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("%d datagrams, %v, want %v", len(d), err, unix.EMSGSIZE)
	}
}
