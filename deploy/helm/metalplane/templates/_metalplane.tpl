{{/* Labels of an object: dict root, component. */}}
{{- define "metalplane.labels" -}}
{{ include "metalplane.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* What tells a component's Pods from all others: dict component. */}}
{{- define "metalplane.selector" -}}
app.kubernetes.io/name: metalplane
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Reference of an image: dict root, name. */}}
{{- define "metalplane.image" -}}
{{- $image := get .root.Values.image .name -}}
{{- $wanted := printf "image.%s.repository is empty: no image of metalplane is published; build one (deploy/images) and name it here" .name -}}
{{- $repository := required $wanted $image.repository -}}
{{- if $image.digest -}}
{{ $repository }}@{{ $image.digest }}
{{- else -}}
{{ $repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Where a Pod may run: dict root, values, labels (that its Node must have). */}}
{{- define "metalplane.placement" -}}
{{- with merge (dict) (.labels | default dict) (.values.nodeSelector | default dict) }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Replicas of a Deployment keep to different Nodes where they can: dict component. */}}
{{- define "metalplane.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "metalplane.selector" . | nindent 8 }}
{{- end }}

{{- define "metalplane.unprivilegedPod" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "metalplane.unprivilegedContainer" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "metalplane.environment" -}}
{{- with .Values.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}

{{/*
Directories of the host under their own paths, each once, for the paths that one program names to another:
dict directories (path -> hostPath type). Sockets are made anew by whoever serves them, so the directory is mounted.
*/}}
{{- define "metalplane.hostMounts" -}}
{{- range $index, $path := keys .directories | sortAlpha }}
- {name: host-{{ $index }}, mountPath: {{ $path | quote }}}
{{- end }}
{{- end }}
{{- define "metalplane.hostVolumes" -}}
{{- $directories := .directories }}
{{- range $index, $path := keys $directories | sortAlpha }}
- name: host-{{ $index }}
  hostPath: {path: {{ $path | quote }}, type: {{ get $directories $path }}}
{{- end }}
{{- end }}

{{/*
Name of a Secret with certificates: dict root, seam (function, csi, api), side (server, client). One's own come whole: a
certificate is worth nothing where the other side trusts another authority.
*/}}
{{- define "metalplane.tlsSecret" -}}
{{- $given := get .root.Values.tls .seam -}}
{{- $other := ternary "caBundle" "clientSecret" (eq .seam "api") -}}
{{- if ne (empty $given.serverSecret) (empty (get $given $other)) -}}
{{- fail (printf "tls.%s names one of serverSecret and %s: name both, for they need one authority, or none" .seam $other) -}}
{{- end -}}
{{- get $given (printf "%sSecret" .side) | default (printf "metalplane-%s-%s-tls" .seam .side) -}}
{{- end }}

{{/*
Data of the Secrets of a seam, by name, as YAML: those in the cluster if all are there, else new ones by an authority
whose key nobody keeps. Dict root, seam, service, sides (server, client).
*/}}
{{- define "metalplane.certificates" -}}
{{- $root := .root -}}
{{- $seam := .seam -}}
{{- $data := dict -}}
{{- range $side := .sides -}}
{{- $name := include "metalplane.tlsSecret" (dict "root" $root "seam" $seam "side" $side) -}}
{{- with (lookup "v1" "Secret" $root.Release.Namespace $name) }}{{ $_ := set $data $name .data }}{{ end -}}
{{- end -}}
{{- if ne (len $data) (len .sides) -}}
{{- $authority := genCA (printf "metalplane-%s" $seam) 3650 -}}
{{- $host := printf "%s.%s.svc" .service $root.Release.Namespace -}}
{{- range $side := .sides -}}
{{- $pair := dict -}}
{{- if eq $side "server" -}}
{{- $pair = genSignedCert $host nil (list $host) 3650 $authority -}}
{{- else -}}
{{- $pair = genSignedCert "metalplane-provider" nil nil 3650 $authority -}}
{{- end -}}
{{- $name := include "metalplane.tlsSecret" (dict "root" $root "seam" $seam "side" $side) -}}
{{- $_ := set $data $name (dict "ca.crt" (b64enc $authority.Cert) "tls.crt" (b64enc $pair.Cert) "tls.key" (b64enc $pair.Key)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end }}

{{/* A Secret of such data: dict root, name, data. */}}
{{- define "metalplane.tlsObject" }}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "metalplane.labels" (dict "root" .root "component" "tls") | nindent 4 }}
type: kubernetes.io/tls
data: {{- toYaml .data | nindent 2 }}
{{- end }}
