// SPDX-License-Identifier: Apache-2.0

// Schema validates the lines of standard input, each a JSON document, with the
// JSON Schema that is named. For each line it prints "valid", or in one line
// what is wrong. It is a module of its own, so that nothing else depends on the
// validator.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: schema FILE")
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		fmt.Println(judge(schema, lines.Text()))
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}

func judge(schema *jsonschema.Schema, line string) string {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err == nil {
		err = schema.Validate(document)
	}
	if err == nil {
		return "valid"
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
