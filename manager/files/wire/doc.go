// Package wire is what the Manager's files service and keyward-sync share: names
// of objects, the messages between both, and how an ETag follows from content.
// It is pure, and links nothing that a small binary would not have anyway.
package wire
