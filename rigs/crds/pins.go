// Package crds pins the modules whose files the rigs read; nothing here is ever built.
package crds

import _ "istio.io/api/networking/v1"
