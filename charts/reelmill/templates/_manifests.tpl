{{/* The settings of all pods, as YAML: those of the files, and those of the values. */}}
{{- define "reelmill.settings" -}}
{{- $settings := dict -}}
{{- range splitList "\n" (trim (.Files.Get "files/base/settings.env")) -}}
  {{- $pair := splitn "=" 2 . -}}
  {{- $_ := set $settings $pair._0 $pair._1 -}}
{{- end -}}
{{- toYaml (mergeOverwrite $settings .Values.settings) -}}
{{- end -}}

{{- define "reelmill.settings-name" -}}
reelmill-settings-{{ include "reelmill.settings" . | sha256sum | trunc 10 }}
{{- end -}}

{{/* The words after an image's tag or digest, for names: -0.1.0-cpu. */}}
{{- define "reelmill.version" -}}
{{- $tag := regexFind ":[^:/]+$" . | trimPrefix ":" -}}
{{- if $tag -}}-{{ ternary (trunc 12 $tag) $tag (contains "@" .) }}{{- end -}}
{{- end -}}

{{/* Add labels to a manifest in place, to its pods, and with `selectors` to what selects them. Takes manifest, labels, selectors. */}}
{{- define "reelmill.label" -}}
{{- $spec := .manifest.spec | default dict -}}
{{- $metadata := list .manifest.metadata -}}
{{- if $spec.template -}}{{- $metadata = append $metadata $spec.template.metadata -}}{{- end -}}
{{- range $metadata -}}{{- $_ := set . "labels" (merge (.labels | default dict) $.labels) -}}{{- end -}}
{{- if .selectors -}}
  {{- $_ := merge $spec.selector.matchLabels .labels -}}
  {{- if $spec.template -}}
    {{- range $spec.template.spec.topologySpreadConstraints -}}{{- $_ := merge .labelSelector.matchLabels $.labels -}}{{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* All manifests, as YAML. The order is kustomize's: base, pools, then the components that change them. */}}
{{- define "reelmill.manifests" -}}
{{- $root := . -}}
{{- $all := list -}}
{{- $part := dict "app.kubernetes.io/part-of" "reelmill" -}}
{{- range fromYamlArray (include "reelmill.resources" (dict "root" . "folder" "base")) -}}
  {{- if ne .kind "Namespace" -}}
    {{- include "reelmill.label" (dict "manifest" . "labels" $part) -}}
    {{- $all = append $all . -}}
  {{- end -}}
{{- end -}}
{{- $settings := dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" (dict "name" (include "reelmill.settings-name" .) "labels" $part) -}}
{{- $all = append $all (set $settings "data" (fromYaml (include "reelmill.settings" .))) -}}
{{- $pools := list -}}
{{- range $name, $pool := .Values.pools -}}{{- if $pool.enabled -}}
  {{- $pools = append $pools $name -}}
  {{- $kustomization := fromYaml ($root.Files.Get (printf "files/pools/%s/kustomization.yaml" $name)) -}}
  {{- range fromYamlArray (include "reelmill.resources" (dict "root" $root "folder" "worker")) -}}
    {{- include "reelmill.label" (dict "manifest" . "labels" $part) -}}
    {{- include "reelmill.label" (dict "manifest" . "labels" (index $kustomization.labels 0).pairs "selectors" true) -}}
    {{- include "reelmill.patch" (dict "manifest" . "kustomization" $kustomization) -}}
    {{- $_ := set .metadata "name" (print .metadata.name $kustomization.nameSuffix) -}}
    {{- $all = append $all . -}}
  {{- end -}}
{{- end -}}{{- end -}}
{{- range $component, $wanted := .Values.components -}}{{- if $wanted -}}
  {{- $folders := list (print "components/" $component) -}}
  {{- if eq $component "keda" -}}
    {{- $folders = list -}}
    {{- range $pools -}}{{- $folders = append $folders (print "components/keda/" .) -}}{{- end -}}
    {{- if index $root.Values.components "temporal-cloud" -}}{{- $folders = append $folders "components/keda/temporal-cloud" -}}{{- end -}}
  {{- end -}}
  {{- range $folder := $folders -}}
    {{- $kustomization := fromYaml ($root.Files.Get (printf "files/%s/kustomization.yaml" $folder)) -}}
    {{- $all = concat $all (fromYamlArray (include "reelmill.resources" (dict "root" $root "folder" $folder))) -}}
    {{- range $all -}}{{- include "reelmill.patch" (dict "manifest" . "kustomization" $kustomization) -}}{{- end -}}
    {{- range $made := $kustomization.configMapGenerator -}}
      {{- $data := dict -}}
      {{- range $made.files -}}
        {{- $pair := splitn "=" 2 . -}}
        {{- $_ := set $data $pair._0 ($root.Files.Get (printf "files/%s/%s" $folder $pair._1)) -}}
      {{- end -}}
      {{- $metadata := dict "name" $made.name "labels" $made.options.labels -}}
      {{- $all = append $all (dict "apiVersion" "v1" "kind" "ConfigMap" "metadata" $metadata "data" $data) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}{{- end -}}
{{- toYaml $all -}}
{{- end -}}

{{/* Put what the values and the release say into a manifest in place. Takes root and manifest. */}}
{{- define "reelmill.finish" -}}
{{- $root := .root -}}{{- $manifest := .manifest -}}
{{- $_ := set $manifest.metadata "namespace" $root.Release.Namespace -}}
{{- if eq $manifest.kind "RoleBinding" -}}
  {{- range $manifest.subjects -}}{{- $_ := set . "namespace" $root.Release.Namespace -}}{{- end -}}
{{- else if eq $manifest.kind "ServiceAccount" -}}
  {{- with index $root.Values.accounts $manifest.metadata.name -}}{{- $_ := set $manifest.metadata "annotations" . -}}{{- end -}}
{{- else if eq $manifest.kind "ScaledObject" -}}
  {{- $namespace := (fromYaml (include "reelmill.settings" $root)).REELMILL_TEMPORAL_NAMESPACE -}}
  {{- range $manifest.spec.triggers -}}
    {{- if eq .type "temporal" -}}
      {{- $_ := set .metadata "namespace" $namespace -}}
    {{- else -}}
      {{- $_ := set .metadata "query" (regexReplaceAll "namespace=\"[^\"]*\"" .metadata.query (printf "namespace=%q" $root.Release.Namespace)) -}}
    {{- end -}}
  {{- end -}}
{{- else if ($manifest.spec | default dict).template -}}
  {{- $pod := $manifest.spec.template.spec -}}
  {{- $container := index $pod.containers 0 -}}
  {{- $_ := set $container "image" (index $root.Values.images $container.image) -}}
  {{- range $container.envFrom -}}
    {{- if eq (.configMapRef | default dict).name "reelmill-settings" -}}
      {{- $_ := set .configMapRef "name" (include "reelmill.settings-name" $root) -}}
    {{- end -}}
  {{- end -}}
  {{- if eq $manifest.kind "Job" -}}
    {{- $_ := set $manifest.metadata "name" (print $manifest.metadata.name (include "reelmill.version" $container.image)) -}}
  {{- end -}}
  {{- with index $root.Values.pools (index $manifest.metadata.labels "reelmill-pool" | default "") -}}
    {{- $_ := mergeOverwrite $container .container -}}
    {{- $_ := mergeOverwrite $pod .pod -}}
  {{- end -}}
{{- end -}}
{{- end -}}
