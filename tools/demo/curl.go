package demo

import (
	"fmt"
	"io"

	"keyward/tools/demo/upstream"
)

// curls are commands to try on a stage that stays up.
const curls = `
Keyward is up. The Worker's consumer token is for this run only; everything
else it knows is the gateway's address.

  export KEYWARD_GATEWAY=%[1]s
  export KEYWARD_TOKEN=%[2]s

A function that sends an MCP message:

  mcp() { curl -s "$KEYWARD_GATEWAY%[3]s" -H "Authorization: Bearer $KEYWARD_TOKEN" \
    -H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream' \
    -H 'MCP-Protocol-Version: 2026-07-28' -H "Mcp-Method: $1" ${3:+-H "Mcp-Name: $3"} \
    -d '{"jsonrpc":"2.0","id":1,"method":"'$1'","params":{'"$2"'"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"curl","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}'; echo; }

List the tools: %[5]s is not among them.

  mcp tools/list

Call a tool that was granted, and one that was not:

  mcp tools/call '"name":"%[4]s","arguments":{"repository":"%[6]s","number":7},' %[4]s
  mcp tools/call '"name":"%[5]s","arguments":{"repository":"%[6]s"},' %[5]s

Ask the LLM:

  curl -s $KEYWARD_GATEWAY%[7]s/chat/completions -H "Authorization: Bearer $KEYWARD_TOKEN" \
    -H 'Content-Type: application/json' -d '{"model":"%[8]s","messages":[{"role":"user","content":"hello"}]}'

Now be the administrator. The Manager is at %[11]s:

  export KEYWARD_MANAGER=%[11]s KEYWARD_ADMIN_TOKEN_FILE=%[10]s/admin.token
  bin/keyward grant who-can
  bin/keyward gateway list

Suspend the Worker, and try one of its calls again; then let it go on:

  bin/keyward consumer suspend %[12]s --wait
  bin/keyward consumer resume %[12]s --wait

Edit the policy; what doesn't compile or fails a test is not published:

  bin/keyward policy edit --wait

The API itself: its description is at %[11]s/docs

  curl -s %[11]s/v1/status -H "Authorization: Bearer $(cat $KEYWARD_ADMIN_TOKEN_FILE)"

Look at the gateway: curl -s %[9]s/metrics
What Manager and gateway log of it: tail -f %[10]s/` + LogFile + `
All files are in that folder, until this stops: Ctrl-C.
`

// PrintCurls tells how to try a stage by hand.
func PrintCurls(w io.Writer, s *Stage) {
	fmt.Fprintf(w, curls, s.Gateway, s.secrets.worker, mcpPath, upstream.ToolRead, upstream.ToolDelete, repository, llmPath, upstream.Model, s.Metrics, s.Dir, s.Manager, consumerID)
}
