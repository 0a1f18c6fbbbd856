# One file by its digest, fetched by Nix itself: no shell, no curl, no compiler, and the bytes go to the disk in one
# stream. The hash is the index's own, in hex and over the plain file, so that hashed mirrors can be asked for it.
{
  name,
  url,
  sha256,
}:
derivation {
  inherit name url;
  builder = "builtin:fetchurl";
  system = "builtin";
  outputHashMode = "flat";
  outputHashAlgo = "sha256";
  outputHash = sha256;
  executable = false;
  unpack = false;
  preferLocalBuild = true;
  impureEnvVars = [
    "http_proxy"
    "https_proxy"
    "ftp_proxy"
    "all_proxy"
    "no_proxy"
  ];
}
