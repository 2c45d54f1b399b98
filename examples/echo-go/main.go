// SPDX-License-Identifier: Apache-2.0

// Echo in Go: replies with the content it was sent. Built as a reactor module
// (README.md); see sdk/abi for what the host expects.
package main

import "unsafe"

const inform = 1

//go:wasmimport caxton reply
func reply(performative uint32, content unsafe.Pointer, length uint32) int32

// What agent_alloc handed out: the host writes there, so it must not be collected.
var buffers = map[uint32][]byte{}

//go:wasmexport agent_alloc
func agentAlloc(size uint32) uint32 {
	buffer := make([]byte, size+1) // never empty, so that it has an address
	address := uint32(uintptr(unsafe.Pointer(&buffer[0])))
	buffers[address] = buffer
	return address
}

//go:wasmexport handle_message
func handleMessage(content uint32, length uint32) int32 {
	buffer := buffers[content]
	delete(buffers, content)
	if reply(inform, unsafe.Pointer(&buffer[0]), length) != 0 {
		return 1
	}
	return 0
}

func main() {} // never called: a reactor's exports are
