# METADATA
# title: Git over HTTPS, reading only
# description: |
#   Tells whether a request belongs to clone or fetch. Use it on an http target
#   that is a Git server:
#
#     deny contains "this Git server is read-only" if {
#       input.target.id == "git"
#       not git.reads
#     }
#
#   Everything that is not plainly reading is not: pushing, its announcement
#   (info/refs?service=git-receive-pack), dumb HTTP, large-file storage.
package keyward.library.git

# METADATA
# title: Does this request only read?
# scope: document
reads if {
	input.http.method == "GET"
	array.slice(input.http.segments, count(input.http.segments) - 2, count(input.http.segments)) == ["info", "refs"]
	input.http.query == {"service": ["git-upload-pack"]}
}

reads if {
	input.http.method == "POST"
	input.http.segments[count(input.http.segments) - 1] == "git-upload-pack"
	object.get(input.http, "query", {}) == {}
}
