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

{{/* Name of a Secret with certificates: dict root, seam (function, csi), side (server, client). */}}
{{- define "metalplane.tlsSecret" -}}
{{- $given := get .root.Values.tls .seam -}}
{{- if ne (empty $given.serverSecret) (empty $given.clientSecret) -}}
{{- fail (printf "tls.%s names one of serverSecret and clientSecret: name both, for they need one authority, or none" .seam) -}}
{{- end -}}
{{- get $given (printf "%sSecret" .side) | default (printf "metalplane-%s-%s-tls" .seam .side) -}}
{{- end }}
