// SPDX-License-Identifier: Apache-2.0

// Servers without a protocol worth the name: they answer each message with their
// host's name.

package main

import (
	"fmt"
	"net"
	"strings"
	"time"
)

// realServers are the hosts with a web server whose page has their name.
func (c cluster) realServers() []host {
	var list []host
	for _, h := range c.hosts {
		if strings.HasPrefix(h.page, "this is ") {
			list = append(list, h)
		}
	}
	return list
}

// serveUDP starts a server on each real server, at the address that the function
// gives for it. An answer leaves with that address.
func (c cluster) serveUDP(address func(host) string) (stop func(), err error) {
	var conns []net.PacketConn
	stop = func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
	for _, h := range c.realServers() {
		err := h.do(func() error {
			conn, err := net.ListenPacket("udp", address(h))
			if err != nil {
				return err
			}
			conns = append(conns, conn)
			go answerAll(conn, h.name)
			return nil
		})
		if err != nil {
			stop()
			return nil, err
		}
	}
	return stop, nil
}

func answerAll(conn net.PacketConn, answer string) {
	message := make([]byte, 1<<10)
	for {
		_, from, err := conn.ReadFrom(message)
		if err != nil {
			return // closed
		}
		conn.WriteTo([]byte(answer), from)
	}
}

// shareUDP sends datagrams from one port and counts who answers.
func (c cluster) shareUDP(n int, to call) (tally, error) {
	t := c.newTally()
	err := client.do(func() error {
		conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(to.source)}}).Dial("udp", to.address)
		if err != nil {
			return err
		}
		defer conn.Close()
		answer := make([]byte, 1<<10)
		for range n {
			if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
				return err
			}
			if _, err := conn.Write([]byte("who")); err != nil {
				return err
			}
			length, err := conn.Read(answer)
			if err != nil {
				return fmt.Errorf("%v after %v", err, t)
			}
			t[string(answer[:length])]++
		}
		return nil
	})
	return t, err
}
