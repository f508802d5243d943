// Command minio-user gives a MinIO a user who may what a policy says and nothing
// else, or gives one that is there another policy. It is for tests.
//
//	minio-user ENDPOINT USER <<<'{"secret": "...", "policy": {...}}'
//
// MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are those of the server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/minio/madmin-go/v3"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "minio-user:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return errors.New("usage: minio-user ENDPOINT USER")
	}
	user := os.Args[2]
	var in struct {
		Secret string
		Policy json.RawMessage
	}
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	c, err := madmin.New(os.Args[1], os.Getenv("MINIO_ROOT_USER"), os.Getenv("MINIO_ROOT_PASSWORD"), false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.AddCannedPolicy(ctx, user, in.Policy); err != nil {
		return err
	}
	if err := c.AddUser(ctx, user, in.Secret); err != nil {
		return err
	}
	_, err = c.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{user}, User: user})
	if madmin.ToErrorResponse(err).Code == "XMinioAdminPolicyChangeAlreadyApplied" {
		return nil
	}
	return err
}
