# Who may reach the daemon, as whom it runs, and which secrets it is handed.
{ lib, pkgs, ... }:
let
  inherit (lib) literalExpression mkOption types;
  own = import ./types.nix { inherit lib; };
in
{
  options.services.models = {
    listenAddress = mkOption {
      type = own.ipAddress;
      default = "127.0.0.1";
      example = "0.0.0.0";
      description = ''
        The address to serve on. Reading is open to everybody who can reach it, unless
        {option}`services.models.readTokenFile` is set.
      '';
    };

    port = mkOption {
      type = types.port;
      default = 8420;
      example = 80;
      description = "The port to serve on.";
    };

    openFirewall = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to open the port in the firewall, for hosts that use this one as their mirror or hub.";
    };

    readTokenFile = own.nullOption own.secretFile {
      example = "/run/secrets/hallmark-read";
      description = "A file that holds the token without which nothing can be read over the network.";
    };

    operatorTokenFile = own.nullOption own.secretFile {
      example = "/run/secrets/hallmark-operator";
      description = ''
        A file that holds the token for acting on the host over the network, such as `POST /v1/sync`. Without it that
        is possible on the host itself only.
      '';
    };

    signingKeyFile = own.nullOption own.secretFile {
      example = "/run/secrets/hallmark-key";
      description = ''
        A file that holds the key that this host signs its events with: 64 hex digits, as `hallmark key new` makes
        them. It is handed over as a systemd credential. Without it hallmark makes a key at its first start and keeps
        it in its state folder.
      '';
    };

    relays = mkOption {
      type = types.listOf own.relayUrl;
      default = [ ];
      example = [ "wss://relay.example.org" ];
      description = ''
        Where the events that this host signs are published, besides its own log: relays of the protocol, such as
        `ws://registry:8420` of another hallmark. One that is away gets them when it is back.
      '';
    };

    follow = mkOption {
      type = types.listOf own.relayUrl;
      default = [ ];
      example = [ "ws://registry:8420" ];
      description = ''
        Relays, such as those of other hallmarks, whose events are taken into this host's log. Each event is proven
        anew; who showed it counts for nothing. At its start hallmark asks them for all that they have, and then hears
        what comes.
      '';
    };

    hashedMirror = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Whether Nix on this host asks hallmark first for every file with a known sha256, by adding it to
        `nix.settings.hashed-mirrors`: what is deployed is not downloaded again for a build.
      '';
    };

    user = mkOption {
      type = own.account;
      default = "hallmark";
      example = "models";
      description = ''
        The user that hallmark runs as. It is made if it is `hallmark`; another one has to exist. It is a static user,
        since the folders of a dynamic one are closed to the services that read the weights.
      '';
    };

    group = mkOption {
      type = own.account;
      default = "hallmark";
      example = "models";
      description = ''
        The group that may read the models; made if {option}`services.models.user` is left as it is. Put the users of
        inference services into it.
      '';
    };

    memoryMax = mkOption {
      type = types.nullOr types.nonEmptyStr;
      default = "2G";
      example = "512M";
      description = "How much memory the service may take (`MemoryMax`). Weights go through small buffers, so it needs little.";
    };

    ioWeight = mkOption {
      type = types.nullOr (types.ints.between 1 10000);
      default = 50;
      example = 100;
      description = ''
        The service's share of the disks when others want them too (`IOWeight`; the default of a service is 100), so
        that a download does not slow down those who serve models.
      '';
    };

    settings = mkOption {
      type = types.submodule { freeformType = (pkgs.formats.toml { }).type; };
      default = { };
      example = literalExpression ''
        {
          vault.downloads_max = 8;
          vault.scrub_bytes_per_second = 100000000;
        }
      '';
      description = ''
        The whole of hallmark.toml. What the options above say stands in it as a default; anything else that the
        README lists can be added. The build runs `hallmark check-config` on it, so that a wrong key or value fails
        there.
      '';
    };
  };
}
