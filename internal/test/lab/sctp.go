// SPDX-License-Identifier: Apache-2.0

// SCTP, of which package net knows nothing. Each socket is bound to one address,
// as otherwise an association would name all of its host's, past the director.

package main

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ipvsadm-go/ipvsadm/internal/test/network"
)

const sctpPort = 9999

// shareSCTP opens associations, one after the other, and counts who answers. The
// servers end with the guest.
func shareSCTP(hosts []network.Host, n int) (tally, error) {
	for _, h := range realServers(hosts) {
		err := h.Do(func() error {
			listener, err := sctpSocket(h.Address(), sctpPort)
			if err != nil {
				return err
			}
			go serveSCTP(listener, h.Name)
			return unix.Listen(listener, unix.SOMAXCONN)
		})
		if err != nil {
			return nil, err
		}
	}
	return count(hosts, n, func() (string, error) { return askSCTP("12.0.0.10", netip.MustParseAddr("12.0.0.1")) })
}

// serveSCTP answers each association with a name.
func serveSCTP(listener int, name string) {
	for {
		socket, _, err := unix.Accept(listener)
		if err == nil {
			unix.Write(socket, []byte(name))
			unix.Close(socket)
		}
	}
}

// askSCTP opens an association and returns what the server says.
func askSCTP(source string, server netip.Addr) (answer string, err error) {
	socket, err := sctpSocket(source, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(socket)
	if err := unix.Connect(socket, &unix.SockaddrInet4{Addr: server.As4(), Port: sctpPort}); err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	text := make([]byte, 1<<10)
	n, err := unix.Read(socket, text)
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	return string(text[:n]), nil
}

// sctpSocket is a socket of the calling thread's namespace.
func sctpSocket(address string, port int) (socket int, err error) {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return 0, err
	}
	socket, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return 0, fmt.Errorf("SCTP: %w", err)
	}
	limit := unix.NsecToTimeval(answerLimit.Nanoseconds())
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, option, &limit); err != nil {
			return 0, err
		}
	}
	return socket, unix.Bind(socket, &unix.SockaddrInet4{Addr: ip.As4(), Port: port})
}
