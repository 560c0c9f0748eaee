// SPDX-License-Identifier: Apache-2.0

package guest

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestSourcesOfBothFormatsAreRead(t *testing.T) {
	const key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQIN\n -----END PGP PUBLIC KEY BLOCK-----"
	for name, c := range map[string]struct {
		parse func(string) ([]source, error)
		text  string
		want  []source
		err   string
	}{
		"a line": {parse: parseList,
			text: "deb http://mirror.example/debian stable main contrib # near\n",
			want: []source{{uris: []string{"http://mirror.example/debian"}, suites: []string{"stable"}, components: []string{"main", "contrib"}}}},
		"a line with options": {parse: parseList,
			text: "deb [ arch=amd64 signed-by=/a.gpg,/b.gpg trusted=yes ]\thttp://mirror.example stable main",
			want: []source{{uris: []string{"http://mirror.example"}, suites: []string{"stable"}, components: []string{"main"}, signedBy: "/a.gpg /b.gpg", trusted: "yes"}}},
		"a line whose options touch the type": {parse: parseList,
			text: "deb[trusted=no] http://mirror.example ./",
			want: []source{{uris: []string{"http://mirror.example"}, suites: []string{"./"}, components: []string{}, trusted: "no"}}},
		"lines that are no binary packages": {parse: parseList,
			text: "\n# deb http://mirror.example stable main\ndeb-src http://mirror.example stable main\n"},
		"a line without a suite": {parse: parseList,
			text: "\ndeb http://mirror.example", err: "line 2: want a URI and a suite: deb http://mirror.example"},
		"a line with open options": {parse: parseList,
			text: "deb [trusted=yes http://mirror.example stable", err: "line 1: options without an end: [trusted=yes http://mirror.example stable"},

		"an entry": {parse: parseDeb822,
			text: "Types: deb deb-src\n# near\nURIs: http://a.example http://b.example\nSuites: stable stable-updates\nComponents: main\nSigned-By: /a.gpg\n",
			want: []source{{uris: []string{"http://a.example", "http://b.example"}, suites: []string{"stable", "stable-updates"}, components: []string{"main"}, signedBy: "/a.gpg"}}},
		"entries apart, one with its key and other case": {parse: parseDeb822,
			text: "types: deb\nuris: http://a.example\nsuites: a/\n\n\nTypes: deb\nURIs: http://b.example\nSuites: b\nSigned-By:" + key + "\nTrusted: no",
			want: []source{
				{uris: []string{"http://a.example"}, suites: []string{"a/"}, components: []string{}},
				{uris: []string{"http://b.example"}, suites: []string{"b"}, components: []string{}, signedBy: key, trusted: "no"}}},
		"entries that are off or no binary packages": {parse: parseDeb822,
			text: "Enabled: no\nTypes: deb\nURIs: http://a.example\nSuites: a\n\nTypes: deb-src\nURIs: http://b.example\nSuites: b\n"},
		"a field without a colon": {parse: parseDeb822,
			text: "Types: deb\nURIs http://a.example\n", err: "line 2: want a field and a colon: URIs http://a.example"},
		"an entry without a suite": {parse: parseDeb822,
			text: "Types: deb\nURIs: http://a.example\n", err: "the entry that ends in line 2 lacks URIs or Suites"},
		"a continuation of nothing": {parse: parseDeb822,
			text: "# near\n more\n", err: "line 2 continues no field:  more"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.parse(c.text)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("error %v, want %q", err, c.err)
			}
		})
	}
}

func TestReadSourcesTakesTheFilesThatAptTakes(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sources.list":                 "deb http://list.example s main\n",
		"sources.list.d/a.list":        "deb http://a.example s main\n",
		"sources.list.d/b.sources":     "Types: deb\nURIs: http://b.example\nSuites: s\n",
		"sources.list.d/c.sources.bak": "Types: deb\nURIs: http://c.example\nSuites: s\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readSources(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.uris...)
	}
	if want := []string{"http://list.example", "http://a.example", "http://b.example"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is written for apt is read back as the same sources.
func FuzzSources(f *testing.F) {
	f.Add("deb [signed-by=/a,/b trusted=yes] http://a.example s main\n")
	f.Add("Types: deb\nURIs: http://b.example\nSuites: s t\nSigned-By:\n key\n .\n key\n\nTypes: deb\nURIs: a\nSuites: b\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) ([]source, error){parseList, parseDeb822} {
			all, err := parse(text)
			if err != nil {
				continue
			}
			for _, s := range all {
				again, err := parseDeb822(s.deb822())
				if err != nil || len(again) != 1 || !reflect.DeepEqual(again[0], s) {
					t.Errorf("%q: wrote %q, read %q, %v", s, s.deb822(), again, err)
				}
			}
		}
	})
}
