// Package filesync keeps a folder and a prefix of an object store alike.
//
// What both were like when they were last alike is kept in the folder. From that,
// and from what both are now, [plan] says what is to be done; it is pure. Every
// change in the store has a condition, so that nobody's version is overwritten
// that was not seen; every change in the folder is a rename of a whole file.
package filesync
