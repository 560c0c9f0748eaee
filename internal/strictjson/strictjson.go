// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects into tagged structs. In contrast to
// encoding/json it refuses unknown fields, repeated fields and null, and its
// errors name the path of the faulty value.
package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Error is a fault in a document.
type Error struct {
	Path string // of the value, as in "services[3].destinations[0].weight"
	Err  error
}

// Error returns the path and the reason.
func (e *Error) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// At prefixes the path of an error with that of the containing value, such as
// "services[3]"; it returns nil for nil.
func At(path string, err error) error {
	if err == nil {
		return nil
	}
	inner := &Error{Err: err}
	errors.As(err, &inner)
	if path != "" && inner.Path != "" && inner.Path[0] != '[' {
		path += "."
	}
	return &Error{path + inner.Path, inner.Err}
}

// Unmarshal decodes a document into the struct that v points to. Fields
// without a tag are embedded structs, whose fields count as those of the
// outer one. It decodes into pointers, also those in interfaces; a nil
// interface accepts any value and stays nil.
func Unmarshal(data []byte, v any) error {
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return &Error{Err: err}
	}
	return read(bytes.TrimSpace(data), reflect.ValueOf(v).Elem())
}

func read(data []byte, v reflect.Value) error {
	target := v.Addr().Interface()
	_, isText := target.(encoding.TextUnmarshaler)
	whole, isWhole := target.(json.Unmarshaler)
	switch {
	case v.Kind() == reflect.Interface && v.IsNil():
		return nil
	case v.Kind() == reflect.Interface:
		return read(data, v.Elem().Elem())
	case string(data) == "null":
		return &Error{Err: errors.New("null is no value")}
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return read(data, v.Elem())
	case isWhole:
		return At("", whole.UnmarshalJSON(data))
	case v.Kind() == reflect.Struct && !isText && data[0] == '{':
		return readObject(data, v)
	case v.Kind() == reflect.Slice && data[0] == '[':
		return readArray(data, v)
	}
	err := json.Unmarshal(data, target)
	if wrong := (*json.UnmarshalTypeError)(nil); errors.As(err, &wrong) {
		err = fmt.Errorf("%s, want %s", wrong.Value, kindOf(v.Kind(), isText))
	}
	return At("", err)
}

// kindOf returns JSON's name of a kind of value.
func kindOf(k reflect.Kind, isText bool) string {
	switch {
	case isText || k == reflect.String:
		return "string"
	case k == reflect.Struct:
		return "object"
	case k == reflect.Slice:
		return "array"
	}
	return k.String() // bool, or a number and its size
}

func readObject(data []byte, v reflect.Value) error {
	fields := map[string]reflect.Value{}
	collect(v, fields)
	seen := map[string]bool{}
	d := json.NewDecoder(bytes.NewReader(data))
	_, _ = d.Token() // the brace
	for d.More() {
		token, _ := d.Token() // the document is valid
		name, _ := token.(string)
		var value json.RawMessage
		err := d.Decode(&value)
		field, found := fields[name]
		switch {
		case err != nil:
		case !found:
			err = errors.New("unknown field")
		case seen[name]:
			err = errors.New("the field is there twice")
		default:
			err = read(value, field)
		}
		if err != nil {
			return At(name, err)
		}
		seen[name] = true
	}
	return nil
}

// collect finds the fields of a struct by the names in their tags.
func collect(v reflect.Value, fields map[string]reflect.Value) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if name == "" {
			collect(v.Field(i), fields)
		} else {
			fields[name] = v.Field(i)
		}
	}
}

func readArray(data []byte, v reflect.Value) error {
	d := json.NewDecoder(bytes.NewReader(data))
	_, _ = d.Token() // the bracket
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	for i := 0; d.More(); i++ {
		var value json.RawMessage
		err := d.Decode(&value)
		item := reflect.New(v.Type().Elem()).Elem()
		if err == nil {
			err = read(value, item)
		}
		if err != nil {
			return At(fmt.Sprintf("[%d]", i), err)
		}
		v.Set(reflect.Append(v, item))
	}
	return nil
}

// Marshal returns v as JSON without the escapes for HTML.
func Marshal(v any) ([]byte, error) {
	if m, ok := v.(json.Marshaler); ok {
		return m.MarshalJSON()
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
