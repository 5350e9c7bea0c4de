{{/* Change a manifest in place by one operation of a JSON patch, as kustomize's files have them. Takes manifest and operation. */}}
{{- define "reelmill.operation" -}}
{{- $keys := rest (splitList "/" .operation.path) -}}
{{- $node := .manifest -}}{{- $holder := dict -}}{{- $held := "" -}}
{{- range initial $keys -}}
  {{- $key := . | replace "~1" "/" | replace "~0" "~" -}}
  {{- if kindIs "slice" $node -}}
    {{- $node = index $node (int $key) -}}
  {{- else -}}
    {{- $holder = $node -}}{{- $held = $key -}}
    {{- $node = index $node $key -}}
  {{- end -}}
{{- end -}}
{{- $last := last $keys | replace "~1" "/" | replace "~0" "~" -}}
{{- if eq .operation.op "remove" -}}
  {{- $_ := unset $node $last -}}
{{- else if kindIs "map" $node -}}
  {{- $_ := set $node $last .operation.value -}}
{{- else if eq $last "-" -}}
  {{- $_ := set $holder $held (append $node .operation.value) -}}
{{- else -}}
  {{- fail (printf "a patch of a list that the chart cannot make: %s" .operation.path) -}}
{{- end -}}
{{- end -}}

{{/* Change a manifest in place by the patches of a kustomization that are meant for it. Takes manifest and kustomization. */}}
{{- define "reelmill.patch" -}}
{{- $manifest := .manifest -}}
{{- range .kustomization.patches -}}
  {{- $labels := list -}}
  {{- range $name, $value := $manifest.metadata.labels -}}{{- $labels = append $labels (printf "%s=%s" $name $value) -}}{{- end -}}
  {{- $target := .target -}}
  {{- if and (eq $target.kind $manifest.kind) (regexMatch (printf "^(%s)$" ($target.name | default ".*")) $manifest.metadata.name)
      (or (not $target.labelSelector) (has $target.labelSelector $labels)) -}}
    {{- range fromYamlArray .patch -}}
      {{- include "reelmill.operation" (dict "manifest" $manifest "operation" .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The manifests of the resources of a kustomization, as YAML. Takes root and folder, which lies in files. */}}
{{- define "reelmill.resources" -}}
{{- $root := .root -}}{{- $folder := .folder -}}
{{- $all := list -}}
{{- range (fromYaml ($root.Files.Get (printf "files/%s/kustomization.yaml" $folder))).resources -}}
  {{- range splitList "\n---\n" ($root.Files.Get (printf "files/%s/%s" $folder .)) -}}
    {{- $all = append $all (fromYaml .) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end -}}
